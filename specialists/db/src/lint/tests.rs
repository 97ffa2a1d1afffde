use serde_json::{Value, json};

use super::*;
use crate::testing::{Lab, shops};

async fn lint(lab: &Lab, inputs: Value) -> Result<(Vec<Finding>, bool), Failure> {
    let inputs = serde_json::from_value(inputs).unwrap();
    let measured = Lint::new(lab.targets.clone()).perform(&lab.cx, inputs).await?;
    assert_eq!(measured.artefacts[0].name, "lint.sarif");
    Ok((measured.outputs.findings, measured.checks[0].pass))
}

fn migrations(ups: &[&str]) -> Value {
    let one = |(place, up): (usize, &&str)| json!({ "version": place + 1, "name": "m", "up": up, "irreversible": "a test" });
    json!({ "migrations": ups.iter().enumerate().map(one).collect::<Vec<_>>() })
}

#[tokio::test]
async fn finds_hazards_on_both() {
    for lab in shops().await {
        let inputs =
            migrations(&["CREATE TABLE t (a BIGINT)", "\nALTER TABLE t RENAME COLUMN a TO b"]);
        let (found, pass) = lint(&lab, inputs).await.unwrap();
        assert!(!pass);
        let [finding] = &found[..] else { panic!("{found:?}") };
        assert_eq!((finding.file.as_str(), finding.line), ("2_m.up.sql", 2));
        assert!(finding.rule.starts_with("renaming"), "{finding:?}");
    }
}

#[tokio::test]
async fn a_table_of_an_earlier_migration_is_not_new() {
    let Some(lab) = Lab::postgres().await else { return };
    let make = "CREATE TABLE t (a BIGINT)";
    let index = "CREATE INDEX i ON t (a)";
    let (_, alone) = lint(&lab, migrations(&[&format!("{make};{index}")])).await.unwrap();
    let (found, later) = lint(&lab, migrations(&[make, index])).await.unwrap();
    assert!(alone && !later);
    assert_eq!(found[0].rule, "require-concurrent-index-creation");
}

#[tokio::test]
async fn what_an_earlier_migration_proved_is_believed() {
    let Some(lab) = Lab::postgres().await else { return };
    let make = "CREATE TABLE t (a BIGINT)";
    let check = "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID";
    let validate = "ALTER TABLE t VALIDATE CONSTRAINT c";
    let set = "ALTER TABLE t ALTER COLUMN a SET NOT NULL";
    assert!(!lint(&lab, migrations(&[make, set])).await.unwrap().1);
    assert!(lint(&lab, migrations(&[make, check, validate, set])).await.unwrap().1);
}

#[tokio::test]
async fn the_statement_that_advice_proposes_is_clean() {
    for lab in shops().await {
        let schema = lab.see().await.schema;
        let table = schema.table("order_line").unwrap();
        let columns = ["order_id".to_owned()];
        let ddl = crate::ddl::create_index(lab.open().engine(), table, "i", &columns, false);
        let (found, pass) = lint(&lab, json!({ "statements": [ddl] })).await.unwrap();
        assert!(pass, "{found:?}");
    }
}

#[tokio::test]
async fn what_is_not_sql_is_refused_with_the_place() {
    let Some(lab) = Lab::postgres().await else { return };
    for (text, place) in
        [("SELECT 1;\n\\c shop", "1_m.up.sql:2"), ("SELECT 1;\nCREATE TABL t", ":2")]
    {
        let failure = lint(&lab, migrations(&[text])).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidInput);
        assert!(failure.message.contains(place), "{failure}");
    }
    let neither = lint(&lab, json!({})).await.unwrap_err();
    assert_eq!(neither.class, ErrorClass::InvalidInput);
}
