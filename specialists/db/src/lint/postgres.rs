//! Squawk's rules, one file at a time: a table that an earlier file made is not new any more.

use deadelus_runtime::{ErrorClass, Failure};
use squawk_linter::{Linter, Rule};
use squawk_syntax::SourceFile;

use super::{File, Finding, Level};
use crate::sql;

/// Rules that are about us and not about the migration: timeouts are set for it, and history makes
/// a second run a no-op.
const NOT_OURS: [Rule; 4] = [
    Rule::RequireTimeoutSettings,
    Rule::RequireLockTimeout,
    Rule::RequireStatementTimeout,
    Rule::PreferRobustStmts,
];

/// Rules of style and foresight: nothing breaks today.
const STYLE: [&str; 3] = ["prefer-", "ban-char-field", "identifier-too-long"];

pub(super) fn lint(earlier: &[File], file: &File) -> Result<Vec<Finding>, Failure> {
    let parsed = SourceFile::parse(&file.text);
    if let Some(error) = parsed.errors().first() {
        let line = sql::line_of(&file.text, usize::from(error.range().start()));
        let text = format!("{}:{line}: {}", file.name, error.message());
        return Err(Failure::new(ErrorClass::InvalidInput, text));
    }
    let mut linter = Linter::with_rules(&[], &NOT_OURS);
    linter.settings.assume_in_transaction = file.in_transaction;
    let violations = linter.lint(&parsed, &file.text);
    let findings = violations.into_iter().map(|violation| Finding {
        rule: violation.code.to_string(),
        level: level(&violation.code.to_string()),
        file: file.name.clone(),
        line: sql::line_of(&file.text, usize::from(violation.text_range.start())),
        message: violation.message,
        help: violation.help.unwrap_or_default(),
    });
    let mut findings: Vec<Finding> =
        findings.filter(|finding| !is_prepared(finding, earlier, file)).collect();
    findings.extend(json_columns(file));
    Ok(findings)
}

fn level(rule: &str) -> Level {
    if STYLE.iter().any(|style| rule.starts_with(style)) { Level::Warning } else { Level::Error }
}

/// `SET NOT NULL` reads the whole table unless an earlier migration has proved it: with a check that
/// was validated, PostgreSQL 12 and later believe it.
fn is_prepared(finding: &Finding, earlier: &[File], file: &File) -> bool {
    if finding.rule != "adding-not-nullable-field" {
        return false;
    }
    let set = sql::statements(&file.text);
    let columns = set.iter().flat_map(|s| columns_set_not_null(&s.tokens));
    let earlier: Vec<_> = earlier.iter().flat_map(|file| sql::statements(&file.text)).collect();
    let validated = earlier.iter().any(|s| s.has(&["validate", "constraint"]));
    let mut columns = columns.peekable();
    columns.peek().is_some()
        && columns.all(|column| {
            validated && earlier.iter().any(|s| s.has(&[&column, "is", "not", "null"]))
        })
}

fn columns_set_not_null(tokens: &[sql::Token]) -> Vec<String> {
    let is_set =
        |four: &&[sql::Token]| four[1].is("set") && four[2].is("not") && four[3].is("null");
    tokens.windows(4).filter(is_set).map(|four| four[0].text.clone()).collect()
}

/// `json` has no equality: `SELECT DISTINCT` over it fails, in code that knows nothing of it.
fn json_columns(file: &File) -> Vec<Finding> {
    let makes_columns =
        |s: &sql::Statement| s.begins(&["create", "table"]) || s.begins(&["alter", "table"]);
    let statements = sql::statements(&file.text);
    let tokens = statements.iter().filter(|s| makes_columns(s)).flat_map(|s| &s.tokens);
    let json = tokens.filter(|token| token.is("json"));
    json.map(|token| Finding {
        rule: "prefer-jsonb".to_owned(),
        level: Level::Warning,
        file: file.name.clone(),
        line: sql::line_of(&file.text, token.start),
        message: "json has no equality operator: DISTINCT and GROUP BY fail on it".to_owned(),
        help: "use jsonb".to_owned(),
    })
    .collect()
}
