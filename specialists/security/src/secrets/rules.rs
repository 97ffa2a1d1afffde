//! The rules, read from data and compiled.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind, StartKind};
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;

use super::{name::Names, worth::Allowed};

/// Compiled size of the largest shapes: a counted repetition of a few hundred bytes.
const REGEX_MAX_BYTES: usize = 8 << 20;
/// Bytes a token may span unless its rule says more; a line of code rarely has more.
const REACH_BYTES: usize = 512;
/// A keyword shorter than this would be looked at at every other word.
const KEYWORD_MIN_BYTES: usize = 2;

/// Shorter begins are shared by makers who agreed on nothing: `sk_`.
const CLAIM_MIN_BYTES: usize = 4;

/// Why a file of rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Not TOML, or not of this form.
    #[error("rules: not of the form of a rules file")]
    Form(#[from] toml::de::Error),
    /// One of its regular expressions.
    #[error("rules: {id}: not a regular expression")]
    Shape {
        /// Of the rule.
        id: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// Nothing to look for.
    #[error("rules: {0}: its shape begins with no word, so that keywords must be given")]
    NoKeyword(String),
    /// All of them together.
    #[error("rules: the keywords cannot be searched for")]
    Keywords(#[from] aho_corasick::BuildError),
}

/// Everything a scan goes by.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    /// Finds every keyword, whatever its case.
    pub(super) keywords: AhoCorasick,
    /// Finds what the tokens of makers begin with.
    pub(super) claims: AhoCorasick,
    /// The rules of each keyword, by its number; places in `rules`.
    pub(super) of_keyword: Vec<Vec<usize>>,
    pub(super) names: Names,
    pub(super) allowed: Allowed,
    /// Files that hold no words of a person.
    pub(super) paths: RegexSet,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) regex: Regex,
    pub(super) entropy: f64,
    /// Whether letters alone are a word and no value.
    pub(super) digit: bool,
    /// Whether a value made of words is none.
    pub(super) words: bool,
}

/// How a rule is applied; also how much it is believed, most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Anchored at the keyword, over this many bytes.
    Token(usize),
    /// Searched in the keyword's line.
    Line,
    /// Anchored at the value that is given to a name with the keyword.
    Assigned,
    /// The same, by a name that says "secret".
    Secret,
    /// The same, by a name that says "password".
    Password,
}

impl Rules {
    /// # Errors
    /// When the text is no rules file, or one of its rules cannot be applied.
    pub(super) fn parse(text: &str) -> Result<Self, RulesError> {
        let document: Document = toml::from_str(text)?;
        let mut index = Index::default();
        for (id, token) in document.token {
            let keywords = keywords(&id, &token)?;
            let claims = keywords.iter().filter(|keyword| keyword.len() >= CLAIM_MIN_BYTES);
            index.claims.extend(claims.cloned());
            // A match ends where no letter or digit follows; its begin is checked by the scanner.
            let shape = format!("^({})(?:[^0-9A-Za-z]|$)", token.shape);
            index.add(id, Kind::Token(token.reach), &shape, &token.common, &keywords)?;
        }
        for (id, line) in document.line {
            let keywords = line.keywords.clone();
            index.add(id, Kind::Line, &line.shape, &line.common, &keywords)?;
        }
        for (id, assigned) in document.assigned {
            let common = Common { words: true, ..assigned.common };
            let shape = value(&assigned.value);
            index.add(id, Kind::Assigned, &shape, &common, &assigned.names)?;
        }
        let General { api, password, secret_words, password_words, neutral_words, public_words } =
            document.general;
        for (kind, rule, words) in
            [(Kind::Secret, api, &secret_words), (Kind::Password, password, &password_words)]
        {
            let common = Common { entropy: rule.entropy, words: true, digit: true };
            index.add(rule.id, kind, &value(&rule.value), &common, words)?;
        }
        let names = Names {
            secret: secret_words.into_iter().collect(),
            password: password_words.into_iter().collect(),
            neutral: neutral_words,
            public: public_words,
        };
        index.build(names, document.allow)
    }
}

/// What is collected while the rules are read.
#[derive(Default)]
struct Index {
    rules: Vec<Rule>,
    of_keyword: BTreeMap<String, Vec<usize>>,
    claims: Vec<String>,
}

impl Index {
    fn add(
        &mut self,
        id: String,
        kind: Kind,
        shape: &str,
        common: &Common,
        keywords: &[String],
    ) -> Result<(), RulesError> {
        if keywords.iter().any(|keyword| keyword.len() < KEYWORD_MIN_BYTES) {
            return Err(RulesError::NoKeyword(id));
        }
        for keyword in keywords {
            self.of_keyword.entry(keyword.to_ascii_lowercase()).or_default().push(self.rules.len());
        }
        let regex = RegexBuilder::new(shape)
            .unicode(false)
            .multi_line(kind == Kind::Line)
            .size_limit(REGEX_MAX_BYTES)
            .build()
            .map_err(|source| RulesError::Shape { id: id.clone(), source: Box::new(source) })?;
        let Common { entropy, digit, words } = *common;
        self.rules.push(Rule { id, kind, regex, entropy, digit, words });
        Ok(())
    }

    fn build(self, names: Names, allow: Allow) -> Result<Rules, RulesError> {
        let keywords = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(self.of_keyword.keys())?;
        let claims = AhoCorasick::builder()
            .start_kind(StartKind::Anchored)
            .ascii_case_insensitive(true)
            .build(self.claims)?;
        let words = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(allow.words.split_whitespace())?;
        let allowed = Allowed {
            values: set("allow.values", &allow.values)?,
            samples: allow.fingerprints,
            words,
        };
        Ok(Rules {
            rules: self.rules,
            keywords,
            claims,
            of_keyword: self.of_keyword.into_values().collect(),
            names,
            allowed,
            paths: set("allow.paths", &allow.paths)?,
        })
    }
}

/// A whole value: quotes, white space or the end follow.
fn value(shape: &str) -> String {
    format!(r#"^((?i:{shape}))(?:['"`\s;,<&\\]|$)"#)
}

fn set(id: &str, patterns: &[String]) -> Result<RegexSet, RulesError> {
    RegexSetBuilder::new(patterns)
        .unicode(false)
        .build()
        .map_err(|source| RulesError::Shape { id: id.to_owned(), source: Box::new(source) })
}

/// Those that are given, or what the shape begins with.
fn keywords(id: &str, token: &Token) -> Result<Vec<String>, RulesError> {
    if !token.keywords.is_empty() {
        return Ok(token.keywords.clone());
    }
    let mut literal = String::new();
    let mut shape = token.shape.chars().peekable();
    while let Some(char) = shape.next() {
        match char {
            '\\' if shape.peek().is_some_and(char::is_ascii_punctuation) => {
                literal.extend(shape.next());
            }
            '\\' | '[' | '(' | '.' | '?' | '*' | '+' | '{' | '|' | '^' | '$' => break,
            _ => literal.push(char),
        }
    }
    if literal.len() < KEYWORD_MIN_BYTES {
        return Err(RulesError::NoKeyword(id.to_owned()));
    }
    Ok(vec![literal])
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    token: BTreeMap<String, Token>,
    line: BTreeMap<String, Line>,
    assigned: BTreeMap<String, AssignedRule>,
    general: General,
    allow: Allow,
}

#[derive(Clone, Copy, Deserialize)]
struct Common {
    #[serde(default = "default_entropy")]
    entropy: f64,
    #[serde(default)]
    digit: bool,
    #[serde(default)]
    words: bool,
}

#[derive(Deserialize)]
struct Token {
    shape: String,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default = "default_reach")]
    reach: usize,
    #[serde(flatten)]
    common: Common,
}

#[derive(Deserialize)]
struct Line {
    shape: String,
    keywords: Vec<String>,
    #[serde(flatten)]
    common: Common,
}

#[derive(Deserialize)]
struct AssignedRule {
    names: Vec<String>,
    value: String,
    #[serde(flatten)]
    common: Common,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct General {
    api: GeneralRule,
    password: GeneralRule,
    secret_words: Vec<String>,
    password_words: Vec<String>,
    neutral_words: BTreeSet<String>,
    public_words: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GeneralRule {
    id: String,
    value: String,
    entropy: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allow {
    values: Vec<String>,
    fingerprints: Vec<String>,
    words: String,
    paths: Vec<String>,
}

/// Two of four characters repeated; a random token of any alphabet has more.
fn default_entropy() -> f64 {
    2.0
}

fn default_reach() -> usize {
    REACH_BYTES
}
