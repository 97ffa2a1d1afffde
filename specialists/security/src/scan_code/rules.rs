//! The rules, read from data: which language a file is in, and what is found in its text. Pure.

use std::{collections::BTreeMap, sync::OnceLock};

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::finding::Level;

/// Compiled size of the largest shape: a counted repetition of a few hundred characters.
const REGEX_MAX_BYTES: usize = 8 << 20;

/// Why a file of rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRules {
    /// Not TOML, or not of this form.
    #[error("code rules: not of the form of a rules file")]
    Form(#[from] toml::de::Error),
    /// One of its regular expressions.
    #[error("code rules: {rule}, {language}: not a regular expression")]
    Shape { rule: String, language: String, source: Box<regex::Error> },
    /// A language that is not among those declared.
    #[error("code rules: {rule}: {language} is no language of this file")]
    Language { rule: String, language: String },
}

/// Everything a scan goes by.
#[derive(Debug)]
pub(crate) struct Rules {
    languages: BTreeMap<String, Language>,
    rules: Vec<Rule>,
}

/// How a language is told, and what of it is no code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Language {
    endings: Vec<String>,
    /// What a line begins with that is a comment.
    comments: Vec<String>,
}

/// One rule.
#[derive(Debug)]
struct Rule {
    id: String,
    level: Level,
    says: String,
    /// By language: the shape, and what makes a find none.
    shapes: BTreeMap<String, (Regex, Option<Regex>)>,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Weakness<'a> {
    pub(crate) rule: &'a str,
    pub(crate) level: Level,
    pub(crate) says: &'a str,
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in bytes.
    pub(crate) column: usize,
    /// The code, its white space made one: what tells one find from another when lines move.
    pub(crate) subject: String,
}

#[derive(Deserialize)]
struct Document {
    languages: BTreeMap<String, Language>,
    #[serde(flatten)]
    rules: BTreeMap<String, Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    level: Level,
    says: String,
    shapes: BTreeMap<String, String>,
    #[serde(default)]
    unless: BTreeMap<String, String>,
}

impl Rules {
    /// Those that come with the program, compiled once.
    ///
    /// # Errors
    /// Never; a test keeps it so.
    pub(crate) fn built_in() -> Result<&'static Self, BadRules> {
        static RULES: OnceLock<Rules> = OnceLock::new();
        match RULES.get() {
            Some(rules) => Ok(rules),
            None => {
                let rules = Self::parse(include_str!("rules.toml"))?;
                Ok(RULES.get_or_init(|| rules))
            }
        }
    }

    fn parse(text: &str) -> Result<Self, BadRules> {
        let Document { languages, rules } = toml::from_str(text)?;
        let rule = |(id, written)| Rule::compiled(id, written, &languages);
        let rules = rules.into_iter().map(rule).collect::<Result<_, _>>()?;
        Ok(Self { languages, rules })
    }

    /// The language of a file, by its name's ending; none where there are no rules for it.
    pub(crate) fn language(&self, path: &str) -> Option<&str> {
        let ending = path.rsplit('/').next()?.rsplit_once('.')?.1;
        let known = |language: &Language| language.endings.iter().any(|known| known == ending);
        self.languages.iter().find(|(_, language)| known(language)).map(|(name, _)| name.as_str())
    }

    /// Everything in a file of this language, in the order of its lines.
    pub(crate) fn weaknesses(&self, language: &str, text: &str) -> Vec<Weakness<'_>> {
        let comments = self.languages.get(language).map_or(&[][..], |known| &known.comments);
        let code = without_comments(text, comments);
        let mut found: Vec<Weakness<'_>> =
            self.rules.iter().flat_map(|rule| rule.found(language, &code)).collect();
        found.sort_by_key(|weakness| (weakness.line, weakness.column));
        found
    }
}

impl Rule {
    fn compiled(
        id: String,
        written: Written,
        languages: &BTreeMap<String, Language>,
    ) -> Result<Self, BadRules> {
        let compiled = |language: &str, text: &str| {
            let regex = RegexBuilder::new(text).size_limit(REGEX_MAX_BYTES).build();
            regex.map_err(|e| BadRules::Shape {
                rule: id.clone(),
                language: language.to_owned(),
                source: Box::new(e),
            })
        };
        let Written { level, says, shapes, unless } = written;
        if let Some(language) =
            shapes.keys().chain(unless.keys()).find(|name| !languages.contains_key(*name))
        {
            return Err(BadRules::Language { rule: id, language: language.clone() });
        }
        let mut all = BTreeMap::new();
        for (language, shape) in &shapes {
            let unless = unless.get(language).map(|text| compiled(language, text)).transpose()?;
            all.insert(language.clone(), (compiled(language, shape)?, unless));
        }
        Ok(Self { level, says, shapes: all, id })
    }

    fn found(&self, language: &str, code: &str) -> Vec<Weakness<'_>> {
        let Some((shape, unless)) = self.shapes.get(language) else { return vec![] };
        let is_none = |text: &str| unless.as_ref().is_some_and(|unless| unless.is_match(text));
        let finds = shape.find_iter(code).filter(|find| !is_none(find.as_str()));
        finds
            .map(|find| {
                // A shape may begin with the white space before it.
                let blank = find.as_str().len() - find.as_str().trim_start().len();
                let before = &code[..find.start() + blank];
                let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
                let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
                let subject = find.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
                let Self { id, level, says, shapes: _ } = self;
                Weakness { rule: id, level: *level, says, line, column, subject }
            })
            .collect()
    }
}

/// The text with its comments blank; every other byte stays where it is.
fn without_comments(text: &str, comments: &[String]) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let begins = line.trim_start();
        if comments.iter().any(|comment| begins.starts_with(comment.as_str())) {
            code.extend(line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        } else {
            code.push_str(line);
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_cannot_be_applied_is_refused_by_name() {
        let rules = |shape: &str| {
            Rules::parse(&format!(
                "[languages]\ngo = {{ endings = [\"go\"], comments = [] }}\n\
                 [r]\nlevel = \"note\"\nsays = \"s\"\n[r.shapes]\n{shape}\n"
            ))
        };
        assert!(rules("go = 'a+'").is_ok());
        assert!(rules("go = 'a('").unwrap_err().to_string().contains("r, go"));
        assert!(rules("gi = 'a'").unwrap_err().to_string().contains("gi is no language"));
    }

    #[test]
    fn comments_are_no_code_and_move_nothing() {
        let rules = Rules::built_in().unwrap();
        let text = "# hashlib.md5(x)\nimport hashlib\n  y = hashlib.md5(x)\n";
        let found = rules.weaknesses("python", text);
        let [weakness] = &found[..] else { panic!("{found:?}") };
        assert_eq!((weakness.rule, weakness.line, weakness.column), ("weak-hash", 3, 7));
        assert_eq!(rules.language("src/a.PY"), None);
        assert_eq!(rules.language("src/a.b/c.py"), Some("python"));
    }
}
