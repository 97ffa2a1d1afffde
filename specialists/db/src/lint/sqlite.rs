//! What goes wrong with migrations on SQLite.

use super::{File, Finding, Level};
use crate::{
    migration,
    sql::{self, Statement},
};

pub(super) fn lint(file: &File) -> Vec<Finding> {
    let statements = sql::statements(&file.text);
    statements.iter().flat_map(|statement| findings(file, statement)).collect()
}

fn findings(file: &File, statement: &Statement) -> Vec<Finding> {
    let rules: [(&str, Level, bool, &str, &str); 5] = [
        (
            "takes-rows-away",
            Level::Error,
            migration::destroys(statement).is_some(),
            "rows are lost for good",
            "take it into a later plan of its own, when no running code needs them",
        ),
        (
            "renaming",
            Level::Error,
            statement.begins(&["alter", "table"]) && statement.has(&["rename"]),
            "code that runs now still uses the old name",
            "add the new one, move over, drop the old one in a later plan",
        ),
        (
            "adding-required-field",
            Level::Error,
            adds_required_column(statement),
            "a NOT NULL column without a default is refused as soon as there are rows",
            "give it a default, or let it be null",
        ),
        (
            "pragma-in-transaction",
            Level::Error,
            file.in_transaction && statement.begins(&["pragma"]),
            "most pragmas do nothing inside of a transaction",
            "foreign keys are off during a migration and checked at its end",
        ),
        (
            "vacuum-in-transaction",
            Level::Error,
            statement.begins(&["vacuum"]),
            "VACUUM cannot run in a transaction and locks the whole file",
            "run it as maintenance",
        ),
    ];
    let place = statement.tokens.first().map_or(0, |token| token.start);
    let found = rules.into_iter().filter(|(_, _, applies, _, _)| *applies);
    found
        .map(|(rule, level, _, message, help)| Finding {
            rule: rule.to_owned(),
            level,
            file: file.name.clone(),
            line: sql::line_of(&file.text, place),
            message: message.to_owned(),
            help: help.to_owned(),
        })
        .collect()
}

fn adds_required_column(statement: &Statement) -> bool {
    statement.begins(&["alter", "table"])
        && statement.has(&["add"])
        && statement.has(&["not", "null"])
        && !statement.has(&["default"])
}
