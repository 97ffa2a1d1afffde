//! One pass over a text for all keywords, and a closer look where there is one.

use std::ops::Range;

use aho_corasick::{Anchored, Input};
use regex::bytes::Captures;

use super::{
    assignment::Assignment,
    name::Held,
    rules::{Kind, Rule, Rules, RulesError},
    worth::is_of_one_case,
};

/// A value that is longer is no credential that a rule knows.
const VALUE_MAX_BYTES: usize = 512;
/// Of a line, before and after a keyword: minified files have one line.
const LINE_MAX_BYTES: usize = 1024;

/// The longest begin of a token that a rule knows.
const PREFIX_MAX_BYTES: usize = 64;

/// What the crate's own rules are.
const RULES: &str = include_str!("rules.toml");

/// Looks for credentials.
#[derive(Debug)]
pub struct Scanner {
    rules: Rules,
}

/// Where a credential is; not what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spotted<'a> {
    /// The rule's name: `github-pat`.
    pub rule: &'a str,
    /// The bytes of the text that are the credential itself.
    pub at: Range<usize>,
    kind: Kind,
}

impl Scanner {
    /// With the rules of this crate.
    ///
    /// # Errors
    /// When they cannot be compiled, which a test excludes.
    pub fn new() -> Result<Self, RulesError> {
        Ok(Self { rules: Rules::parse(RULES)? })
    }

    /// Whether a file of this path holds no words of a person: a picture, a lock file.
    pub fn passes_over(&self, path: &str) -> bool {
        self.rules.paths.is_match(path.as_bytes())
    }

    /// Every credential, in order of its place. Where several rules see the same one, the one that
    /// knows it best tells.
    pub fn scan(&self, text: &[u8]) -> Vec<Spotted<'_>> {
        let mut pass = Pass {
            rules: &self.rules,
            text,
            lines_done: vec![0; self.rules.rules.len()],
            assignment: None,
            spotted: vec![],
        };
        for hit in self.rules.keywords.find_overlapping_iter(text) {
            for &rule in &self.rules.of_keyword[hit.pattern().as_usize()] {
                pass.look(rule, hit.range());
            }
        }
        best_of_each(pass.spotted)
    }
}

/// One text, and how far it has been looked at.
struct Pass<'a, 't> {
    rules: &'a Rules,
    text: &'t [u8],
    /// Of each rule that looks at lines: how far it did.
    lines_done: Vec<usize>,
    /// Around the last name, which may have several keywords.
    assignment: Option<(Range<usize>, Option<Assignment>)>,
    spotted: Vec<Spotted<'a>>,
}

impl<'a> Pass<'a, '_> {
    fn look(&mut self, place: usize, hit: Range<usize>) {
        let rules: &'a Rules = self.rules;
        let rule = &rules.rules[place];
        match rule.kind {
            Kind::Token(reach) => self.token(rule, hit.start, reach),
            Kind::Line => self.line(place, rule, &hit),
            Kind::Assigned => self.assigned(rule, &hit),
            Kind::Secret => self.by_name(rule, &hit, Held::Secret),
            Kind::Password => self.by_name(rule, &hit, Held::Password),
        }
    }

    /// A match that begins at the keyword, in no longer word.
    fn token(&mut self, rule: &'a Rule, start: usize, reach: usize) {
        if !continues_a_word(&self.text[..start], self.text[start]) {
            self.first(rule, start, reach);
        }
    }

    /// Every match in the line of the keyword; each line once for each rule.
    fn line(&mut self, place: usize, rule: &'a Rule, hit: &Range<usize>) {
        let done = self.lines_done[place];
        if hit.start < done {
            return;
        }
        let before = &self.text[done.max(hit.start.saturating_sub(LINE_MAX_BYTES))..hit.start];
        let after = &self.text[hit.end..self.text.len().min(hit.end + LINE_MAX_BYTES)];
        let start = hit.start - before.iter().rev().take_while(|byte| **byte != b'\n').count();
        let end = hit.end + after.iter().take_while(|byte| **byte != b'\n').count();
        self.lines_done[place] = end;
        for found in rule.regex.captures_iter(&self.text[start..end]) {
            self.keep(rule, start, &found);
        }
    }

    /// The value of a name in which the keyword is a word or begins one.
    fn assigned(&mut self, rule: &'a Rule, hit: &Range<usize>) {
        if begins_a_word(&self.text[..hit.start], self.text[hit.start])
            && is_of_one_case(&self.text[hit.clone()])
            && let Some(assignment) = self.assignment(hit)
        {
            self.value(rule, &assignment);
        }
    }

    /// The value of a name that says what it holds.
    fn by_name(&mut self, rule: &'a Rule, hit: &Range<usize>, held: Held) {
        let Some(assignment) = self.assignment(hit) else { return };
        let bare_password = held == Held::Password && assignment.quote.is_none();
        if bare_password && !is_plain(&self.text[assignment.value..]) {
            return;
        }
        if self.rules.names.held(&self.text[assignment.name.clone()]) == held {
            self.unclaimed(rule, &assignment);
        }
    }

    /// What begins like some maker's token and has not its shape is a sample of it.
    fn unclaimed(&mut self, rule: &'a Rule, assignment: &Assignment) {
        let rest = &self.text[assignment.value..];
        let begin = &rest[..rest.len().min(PREFIX_MAX_BYTES)];
        if !self.rules.claims.is_match(Input::new(begin).anchored(Anchored::Yes)) {
            self.value(rule, assignment);
        }
    }

    fn value(&mut self, rule: &'a Rule, assignment: &Assignment) {
        self.first(rule, assignment.value, VALUE_MAX_BYTES);
    }

    fn first(&mut self, rule: &'a Rule, start: usize, reach: usize) {
        let text = &self.text[start..self.text.len().min(start + reach)];
        if let Some(found) = rule.regex.captures(text) {
            self.keep(rule, start, &found);
        }
    }

    /// The innermost group of a match is the credential, if it is worth anything.
    fn keep(&mut self, rule: &'a Rule, start: usize, found: &Captures<'_>) {
        let Some(group) = found.iter().flatten().last() else { return };
        let value = group.as_bytes();
        let letters = |value: &[u8]| {
            value.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-' | b'.'))
        };
        let allowed = &self.rules.allowed;
        if allowed.stands_for_nothing(value, rule.entropy)
            || (rule.digit && letters(value))
            || (rule.words && allowed.is_made_of_words(value))
        {
            return;
        }
        let at = start + group.start()..start + group.end();
        self.spotted.push(Spotted { rule: &rule.id, at, kind: rule.kind });
    }

    fn assignment(&mut self, hit: &Range<usize>) -> Option<Assignment> {
        if let Some((seen, assignment)) = &self.assignment
            && seen.start <= hit.start
            && hit.end <= seen.end
        {
            return assignment.clone();
        }
        let assignment = Assignment::around(self.text, hit);
        let seen = assignment.as_ref().map_or(hit.clone(), |found| found.name.clone());
        self.assignment = Some((seen, assignment.clone()));
        assignment
    }
}

/// Whether a token that begins with `first` is only the rest of a longer word: `xghp_…`. Behind an
/// escaped line end it is not.
fn continues_a_word(before: &[u8], first: u8) -> bool {
    let escaped = matches!(before, [.., b'\\', b'n' | b'r' | b't']);
    let joins = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+');
    first.is_ascii_alphanumeric() && !escaped && before.last().is_some_and(joins)
}

/// Whether what stands there without quotes is a word and no expression: `pass = advise(&lab)`.
fn is_plain(text: &[u8]) -> bool {
    let text = &text[..text.len().min(VALUE_MAX_BYTES)];
    let mut value = text.iter().take_while(|byte| !byte.is_ascii_whitespace());
    value.all(|b| b.is_ascii_alphanumeric() || b"_!@#%^*+=~-".contains(b))
}

/// Whether a word of a name begins with `first`: `my_lob`, `myLob`, not `blob`.
fn begins_a_word(before: &[u8], first: u8) -> bool {
    before.last().is_none_or(|last| {
        !last.is_ascii_alphabetic() || (last.is_ascii_lowercase() && first.is_ascii_uppercase())
    })
}

/// One for each place, by the rule that is believed most.
fn best_of_each(mut spotted: Vec<Spotted<'_>>) -> Vec<Spotted<'_>> {
    spotted.sort_by(|a, b| (a.at.start, a.kind, a.rule).cmp(&(b.at.start, b.kind, b.rule)));
    let mut best: Vec<Spotted<'_>> = vec![];
    for next in spotted {
        match best.last_mut() {
            Some(last) if next.at.start < last.at.end => {
                if next.kind < last.kind {
                    *last = next;
                }
            }
            Some(_) | None => best.push(next),
        }
    }
    best
}
