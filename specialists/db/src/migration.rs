//! Migrations as they come in, and what is to be done with each. Pure but for fetching artefacts.

use deadelus_runtime::{Artefact, Context, ErrorClass, Failure, invalid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sql::{self, Statement};

/// Of one request: a plan with more is several plans.
const MIGRATIONS_MAX: usize = 200;

/// One step of a schema, there and back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// Rises from one to the next.
    pub version: i64,
    /// `add_subscriptions`; file names are made of it.
    pub name: String,
    /// There.
    pub up: Script,
    /// Back; or else say why there is no way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<Script>,
    /// Why there is no way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<String>,
}

/// SQL, here or in an artefact.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Script {
    /// The text.
    Inline(String),
    /// Where the text is.
    Stored(Artefact),
}

/// A migration that was read and may be run.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) version: i64,
    pub(crate) name: String,
    /// SHA-256 of what goes up.
    pub(crate) checksum: String,
    pub(crate) up: Vec<Statement>,
    /// None when it is irreversible.
    pub(crate) down: Option<Vec<Statement>>,
    /// The text, for those who look at it as a whole.
    pub(crate) up_text: String,
}

/// A line of the history table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) version: i64,
    pub(crate) checksum: String,
}

/// Reads migrations; refuses what cannot be run, naming the place.
pub(crate) async fn read(cx: &Context, migrations: &[Migration]) -> Result<Vec<Step>, Failure> {
    if !(1..=MIGRATIONS_MAX).contains(&migrations.len()) {
        return Err(invalid(format!(
            "migrations: {}, use 1 to {MIGRATIONS_MAX}",
            migrations.len()
        )));
    }
    let mut steps: Vec<Step> = vec![];
    for migration in migrations {
        let step = read_one(cx, migration).await?;
        if let Some(last) = steps.last()
            && last.version >= step.version
        {
            let text = format!("migrations: version {} after {}", step.version, last.version);
            return Err(invalid(text));
        }
        steps.push(step);
    }
    Ok(steps)
}

async fn read_one(cx: &Context, migration: &Migration) -> Result<Step, Failure> {
    let place = format!("{}_{}", migration.version, migration.name);
    match (&migration.down, &migration.irreversible) {
        (None, None) => {
            let text = format!("{place}: neither a down nor a reason why it is irreversible");
            return Err(invalid(text));
        }
        (Some(_), Some(_)) => {
            return Err(invalid(format!("{place}: a down, and yet irreversible")));
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
    let up_text = text(cx, &migration.up).await?;
    let down_text = match &migration.down {
        Some(down) => Some(text(cx, down).await?),
        None => None,
    };
    let up = parse(&format!("{place}.up.sql"), &up_text)?;
    let down = match down_text {
        Some(down) => Some(parse(&format!("{place}.down.sql"), &down)?),
        None => None,
    };
    Ok(Step {
        version: migration.version,
        name: migration.name.clone(),
        checksum: checksum(&up_text),
        up,
        down,
        up_text,
    })
}

async fn text(cx: &Context, script: &Script) -> Result<String, Failure> {
    match script {
        Script::Inline(text) => Ok(text.clone()),
        Script::Stored(artefact) => {
            let bytes = cx.fetch(artefact).await?;
            String::from_utf8(bytes.to_vec())
                .map_err(|_| invalid(format!("artefact {}: not UTF-8", artefact.name)))
        }
    }
}

/// The statements of a file, if all of them can be run in one transaction of ours.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Statement>, Failure> {
    if let Some((line, command)) = sql::meta_command(text) {
        let failure = invalid(format!("{file}:{line}: {command:?} is for psql and is not SQL"));
        return Err(failure.help("write plain SQL; the target says which database it is"));
    }
    let mut statements = sql::statements(text);
    if statements.is_empty() {
        return Err(invalid(format!("{file}: there is no statement in it")));
    }
    let control = ["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"];
    match statements.iter().find(|s| control.iter().any(|word| s.begins(&[word]))) {
        Some(found) => {
            let text = format!("{file}:{}: leave transactions to the migration", found.place);
            Err(invalid(text))
        }
        None => {
            for statement in &mut statements {
                statement.place = format!("{file}:{}", statement.place);
            }
            Ok(statements)
        }
    }
}

/// What is still to be applied; or why the history does not fit.
pub(crate) fn pending<'a>(
    applied: &[Applied],
    steps: &'a [Step],
) -> Result<Vec<&'a Step>, Failure> {
    let newest = applied.iter().map(|line| line.version).max();
    let mut pending = vec![];
    for step in steps {
        let Step { version, name, checksum, .. } = step;
        match applied.iter().find(|line| line.version == *version) {
            Some(line) if line.checksum == *checksum => {}
            Some(_) => {
                let text = format!("{version}_{name} was applied with another content");
                return Err(Failure::new(ErrorClass::PreconditionFailed, text)
                    .help("never change an applied migration; write the next one"));
            }
            None if newest.is_some_and(|newest| newest > *version) => {
                let text = format!("{version}_{name} comes before what was applied last");
                return Err(Failure::new(ErrorClass::PreconditionFailed, text)
                    .help("give it a version after the newest"));
            }
            None => pending.push(step),
        }
    }
    Ok(pending)
}

/// What takes rows away for good, in words; none if a statement does not.
pub(crate) fn destroys(statement: &Statement) -> Option<&'static str> {
    let drops_column = statement.begins(&["alter", "table"])
        && statement.tokens.windows(2).any(|two| {
            let spared = ["constraint", "not", "default", "identity", "expression"];
            two[0].is("drop") && !spared.iter().any(|word| two[1].is(word))
        });
    let starts = |words: &[&str]| statement.begins(words);
    if starts(&["drop", "table"]) {
        Some("drops a table")
    } else if starts(&["drop", "schema"]) || starts(&["drop", "database"]) {
        Some("drops a schema")
    } else if drops_column {
        Some("drops a column")
    } else if starts(&["truncate"]) {
        Some("empties a table")
    } else if starts(&["delete"]) {
        Some("deletes rows")
    } else {
        None
    }
}

pub(crate) fn checksum(text: &str) -> String {
    deadelus_runtime::sha256(text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(version: i64, text: &str) -> Step {
        Step {
            version,
            name: "m".to_owned(),
            checksum: checksum(text),
            up: sql::statements(text),
            down: None,
            up_text: text.to_owned(),
        }
    }

    fn class(text: &str) -> ErrorClass {
        parse("1_m.up.sql", text).unwrap_err().class
    }

    #[test]
    fn refuses_what_cannot_be_run() {
        for bad in ["", "-- nothing", "\\c shop\nSELECT 1", "BEGIN; SELECT 1; COMMIT"] {
            assert_eq!(class(bad), ErrorClass::InvalidInput, "{bad}");
        }
        let failure = parse("1_m.up.sql", "SELECT 1;\n\\i other.sql").unwrap_err();
        assert!(failure.message.starts_with("1_m.up.sql:2:"), "{failure}");
    }

    #[test]
    fn applies_what_is_new_and_refuses_what_changed() {
        let steps = [step(1, "a"), step(2, "b")];
        let applied = |version, text: &str| Applied { version, checksum: checksum(text) };
        let versions = |applied: &[Applied]| {
            pending(applied, &steps).map(|p| p.iter().map(|s| s.version).collect::<Vec<_>>())
        };
        assert_eq!(versions(&[]).unwrap(), [1, 2]);
        assert_eq!(versions(&[applied(1, "a")]).unwrap(), [2]);
        assert_eq!(versions(&[applied(1, "a"), applied(2, "b")]).unwrap(), [] as [i64; 0]);
        for history in [vec![applied(1, "other")], vec![applied(3, "later")]] {
            let failure = versions(&history).unwrap_err();
            assert_eq!(failure.class, ErrorClass::PreconditionFailed);
        }
    }

    #[test]
    fn knows_what_takes_rows_away() {
        let destroys = |text: &str| destroys(&sql::statements(text)[0]).is_some();
        for text in [
            "DROP TABLE t",
            "ALTER TABLE t DROP COLUMN c",
            "ALTER TABLE t ADD a int, DROP b",
            "TRUNCATE t",
            "DELETE FROM t",
        ] {
            assert!(destroys(text), "{text}");
        }
        for text in [
            "ALTER TABLE t DROP CONSTRAINT c",
            "ALTER TABLE t ALTER a DROP NOT NULL",
            "DROP INDEX i",
            "CREATE TABLE t (a int REFERENCES u ON DELETE CASCADE)",
        ] {
            assert!(!destroys(text), "{text}");
        }
    }
}
