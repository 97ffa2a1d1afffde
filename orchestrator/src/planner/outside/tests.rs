use std::time::Duration;

use deadelus_core::plan::read_tree;
use deadelus_proto::{Effect, Idempotency, TargetCard, UndoClass};

use super::*;

/// One specialist that looks and makes.
fn cards() -> Vec<SpecialistCard> {
    let capability = |name: &str, summary: &str, effect| Capability {
        name: name.parse().unwrap(),
        role: "DB Admin".to_owned(),
        version: "1".to_owned(),
        summary: summary.to_owned(),
        inputs_schema: json!({"type": "object", "additionalProperties": true}),
        outputs_schema: json!({"type": "object"}),
        effect,
        idempotency: Idempotency::Keyed,
        checks: vec![],
        undo: None,
        timeout: Duration::from_secs(9),
        locks: vec![],
        hazards: vec![],
    };
    let back = |name: &str| Some((name.parse().unwrap(), UndoClass::Exact));
    let make = Capability {
        inputs_schema: json!({
            "type": "object",
            "required": ["table", "columns"],
            "properties": {
                "table": {"type": "string", "description": "The table."},
                "columns": {"type": "array", "description": "Its columns, in order."},
            },
            "additionalProperties": false,
        }),
        undo: back("db.drop_index"),
        ..capability("db.create_index", "Builds an index of a table.", Effect::Reversible)
    };
    let drop_index = Capability {
        undo: back("db.create_index"),
        ..capability("db.drop_index", "Drops an index.", Effect::Reversible)
    };
    vec![SpecialistCard {
        specialist: "db".parse().unwrap(),
        version: "1".to_owned(),
        capabilities: vec![
            capability("db.inspect", "Reads the schema.", Effect::Read),
            make,
            drop_index,
        ],
        targets: vec![TargetCard { name: "shop".parse().unwrap(), facts: BTreeMap::new() }],
    }]
}

fn tree(text: &str) -> Value {
    read_tree(text).unwrap()
}

const GAPPY: &str = "
deadelus: 1
title: An index
params: {column: null}
tasks:
  look: {does: db.inspect, title: Look}
  make:
    does: db.create_index
    title: Make it
    needs: [look]
    inputs: {columns: '${ [params.column, params.other] }'}
";

fn names(reviewed: &Reviewed) -> Vec<&str> {
    match reviewed {
        Reviewed::Whole(_) => vec![],
        Reviewed::Gaps(questions) => questions.iter().map(|q| q.name.as_str()).collect(),
    }
}

fn answers(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn every_gap_is_a_question_with_its_place() {
    let reviewed = review(&tree(GAPPY), &cards()).unwrap();
    assert_eq!(
        names(&reviewed),
        [
            "target",
            "params.column",
            "params.other",
            "tasks.make.inputs.table",
            "success",
            "constraints",
            "prerequisites",
        ]
    );
    let Reviewed::Gaps(questions) = reviewed else { panic!() };
    assert_eq!(questions[0].asks, "Which system is it about? There are shop");
    assert_eq!(questions[3].asks, "db.create_index: The table");
}

#[test]
fn answers_fill_the_gaps_and_only_the_last_gives_a_plan() {
    let some = answers(&[
        ("target", "shop"),
        ("params.column", "order_id"),
        ("params.other", "\"product_id\""),
        ("tasks.make.inputs.table", "7"),
        ("constraints", "none"),
    ]);
    let tree = answered(tree(GAPPY), &some, &cards()).unwrap();
    assert_eq!(tree["tasks"]["make"]["inputs"]["table"], "7", "a text, as its schema says");
    assert_eq!(names(&review(&tree, &cards()).unwrap()), ["success", "prerequisites"]);
    let rest = answers(&[
        ("success", "make: The index is there"),
        ("prerequisites", "look: The schema can be read;"),
    ]);
    let tree = answered(tree, &rest, &cards()).unwrap();
    let Reviewed::Whole(plan) = review(&tree, &cards()).unwrap() else { panic!() };
    let plan = plan.plan();
    assert_eq!(plan.params["other"], "product_id");
    assert_eq!(plan.success[0].criterion, "The index is there");
    assert_eq!(plan.prerequisites[0].checked_by, "look");
    assert!(plan.constraints.is_empty());
}

#[test]
fn an_answer_that_nobody_asked_for_or_that_says_nothing_is_refused() {
    let wrong = answers(&[("targets", "shop"), ("success", "it works"), ("params.column", " ")]);
    let said = answered(tree(GAPPY), &wrong, &cards()).unwrap_err().to_string();
    assert!(said.contains("targets: is not asked; open are target, params.column"), "{said}");
    assert!(said.contains("success: \"it works\" is not TASK: SENTENCE"), "{said}");
    assert!(said.contains("params.column: the answer is empty"), "{said}");
}

#[test]
fn what_is_wrong_whatever_the_answers_are_comes_first() {
    let circle = GAPPY.replace("title: Look}", "title: Look, needs: [make]}");
    let said = review(&tree(&circle), &cards()).unwrap_err().to_string();
    assert!(said.contains("needs in a circle"), "{said}");
    let extra = GAPPY.replace("inputs: {", "inputs: {tabel: x, ");
    let said = review(&tree(&extra), &cards()).unwrap_err().to_string();
    assert!(said.contains("'tabel' was unexpected"), "{said}");
}

#[test]
fn a_plan_that_only_looks_needs_no_criteria() {
    let looks =
        "deadelus: 1\ntitle: Look\ntarget: shop\ntasks: {look: {does: db.inspect, title: Look}}";
    assert!(matches!(review(&tree(looks), &cards()), Ok(Reviewed::Whole(_))));
}

#[test]
fn a_prerequisite_is_seen_before_anything_is_changed() {
    let late = GAPPY
        .replace("    needs: [look]\n", "")
        .replace("params:", "prerequisites: [{prerequisite: P, checked_by: look}]\nparams:");
    let said = review(&tree(&late), &cards()).unwrap_err().to_string();
    let what = r#"prerequisites[0].checked_by: "make" changes something and does not need "look""#;
    assert!(said.contains(what), "{said}");
}

#[test]
fn work_outside_coordination_is_refused_with_whom_to_ask() {
    let own =
        GAPPY.replace("does: db.inspect, title: Look", "does: sql.write, title: Write the schema");
    let said = review(&tree(&own), &cards()).unwrap_err().to_string();
    assert!(said.starts_with("tasks.look.does: \"sql.write\" is nothing that"), "{said}");
    assert!(
        said.ends_with("ask db (DB Admin), which offers inspect, create_index, drop_index"),
        "{said}"
    );
}
