//! Reading and judging plans.

use deadelus_core::{CheckedPlan, Plan, plan::schema};

use crate::fixture::{cards, plan, problems};

#[test]
#[expect(clippy::disallowed_methods, reason = "writes the schema for people who change the types")]
fn the_published_schema_is_the_one_that_judges() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/plan.schema.json");
    let mut sorted = schema();
    sorted.sort_all_objects();
    let actual = serde_json::to_string_pretty(&sorted).unwrap() + "\n";
    if std::env::var_os("DEADELUS_WRITE_SCHEMA").is_some() {
        std::fs::write(path, &actual).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        published == actual,
        "plan.schema.json is behind the types; run this test with DEADELUS_WRITE_SCHEMA=1"
    );
}

#[test]
fn the_log_gives_back_the_plan_that_was_approved() {
    let checked = plan(
        "tasks:
          b: {does: t.make, title: B, needs: [a], inputs: {n: 1}}
          a: {does: t.look, title: A}",
    );
    let back = CheckedPlan::from_json(checked.json().as_bytes()).unwrap();
    assert_eq!(back.digest(), checked.digest());
    assert_eq!(back.tasks(), checked.tasks());
    let used: Vec<String> = back.capabilities().keys().map(ToString::to_string).collect();
    assert_eq!(used, ["t.look", "t.make", "t.unmake"], "what is used, and its undos");
    let ids: Vec<&str> = back.tasks().iter().map(|t| t.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"], "each after what it needs");
}

#[test]
fn json_and_yaml_of_one_plan_have_one_digest() {
    let yaml = "deadelus: 1\ntitle: T\ntarget: shop\ntasks:\n  a: {does: t.look, title: A}\n";
    let json = r#"{"tasks": {"a": {"title": "A", "does": "t.look"}}, "target": "shop",
                   "title": "T", "deadelus": 1}"#;
    let digest = |text| CheckedPlan::check(Plan::read(text).unwrap(), &cards()).unwrap();
    assert_eq!(digest(yaml).digest(), digest(json).digest());
    assert_eq!(digest(yaml).json(), digest(json).json());
}

#[test]
fn every_problem_is_named_at_once_with_its_place() {
    let found = problems(
        "params: {speed: 1}
phases: [{id: one, title: One, milestone: M}]
scopes: {round1: {title: R, on_failure: continue}}
success: [{criterion: fast, checked_by: mesure}]
tasks:
  measure: {does: t.lok, title: M, scope: round2, phase: oen}
  make:
    does: t.make
    title: ''
    needs: [measur, measure, measure]
    when: tasks.other.status == 'done'
    timeout: 1 day
    attempts: 0
    inputs: {n: -1, wrong: 1, text: '${ params.sped }', any: '${ tasks.Ship.status'}
  other: {does: t.make, title: O, target: shap, locks: ['']}
  Ship: {does: t.ship, title: S, scope: round1}
  plan: {does: t.look, title: P}",
    );
    let expected = [
        r#"success[0].checked_by: no task "mesure"; did you mean "measure"?"#,
        r#"tasks.Ship.scope: t.ship cannot be taken back with a scope"#,
        r#"tasks.Ship: task id "Ship": use 1 to 64 of a-z 0-9 -"#,
        r#"tasks.make.attempts: must be 1 to 20"#,
        r#"tasks.make.inputs.any: "${" is not closed in "${ tasks.Ship.status"; write "$${" for the text"#,
        r#"tasks.make.inputs.n: -1 is less than the minimum of 0"#,
        r#"tasks.make.inputs: Additional properties are not allowed ('wrong' was unexpected)"#,
        r#"tasks.make.needs[0]: no task "measur"; did you mean "measure"?"#,
        r#"tasks.make.needs[2]: "measure" stands here twice"#,
        r#"tasks.make.timeout: "1 day" is not a duration of 1ms to 24h; write 500ms, 120s, 2m or 1h"#,
        r#"tasks.make.title: is empty"#,
        r#"tasks.make.when: reads task "other", which "make" does not need; add it to needs"#,
        r#"tasks.measure.does: no capability "t.lok"; did you mean "t.look"?"#,
        r#"tasks.measure.phase: no phase "oen"; did you mean "one"?"#,
        r#"tasks.measure.scope: no scope "round2"; did you mean "round1"?"#,
        r#"tasks.other.locks: is empty"#,
        r#"tasks.other.target: no target of t "shap"; did you mean "shop"?"#,
        r#"tasks.plan: "plan" is the gate of the whole plan; choose another id"#,
    ];
    for problem in expected {
        assert!(found.lines().any(|line| line == problem), "{problem}\nnot in\n{found}");
    }
    assert_eq!(found.lines().count(), expected.len(), "{found}");
}

#[test]
fn the_shape_is_judged_with_every_place_too() {
    let found = problems(
        "speed: 3
approval: maybe
tasks:
  a: {does: t.look, titel: A, needs: b}
  b: {does: t.look, title: [1]}",
    );
    for place in ["approval: ", "tasks.a: ", "tasks.a.needs: ", "tasks.b.title: "] {
        assert!(found.lines().any(|line| line.starts_with(place)), "{place}\nnot in\n{found}");
    }
    assert!(found.contains("'speed' was unexpected"), "{found}");
}

#[test]
fn circles_are_named_and_so_are_those_through_a_scope() {
    let circle = problems(
        "tasks:
          a: {does: t.look, title: A, needs: [c]}
          b: {does: t.look, title: B, needs: [a]}
          c: {does: t.look, title: C, needs: [b]}",
    );
    assert_eq!(circle, "tasks: needs in a circle: a needs c needs b needs a");
    // A scope may be taken back as a whole, so b would stand on ground that depends on b.
    let circle = problems(
        "scopes: {s: {title: S, on_failure: continue}}
tasks:
  a: {does: t.look, title: A, scope: s}
  b: {does: t.look, title: B, needs: [a]}
  c: {does: t.look, title: C, needs: [b], scope: s}",
    );
    assert_eq!(circle, "tasks: needs in a circle: b needs scope s needs c needs b");
}

#[test]
fn bombs_duplicates_and_depths_are_refused() {
    let laughs = (0..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        let item = format!("*a{n}");
        let items = vec![item; 9].join(", ");
        format!("{text}a{}: &a{} [{items}]\n", n + 1, n + 1)
    });
    let cases = [
        (laughs, ""),
        ("a: 1\na: 2\n".into(), "the key \"a\" stands here twice"),
        (r#"{"deadelus": 1, "deadelus": 1}"#.into(), "stands here twice"),
        (format!("a: {}{}", "[".repeat(40), "]".repeat(40)), "nested deeper than 32 levels"),
        (format!("{}{}{}", r#"{"a":"#, "[".repeat(100_000), "}"), "nested deeper"),
        ("a: .nan".into(), "a number must be finite"),
        ("deadelus: 2\n".into(), "plan format 2 is not known here"),
        ("title: x\n".into(), "a plan begins with \"deadelus: 1\""),
        ("x".repeat(600_000), "600000 bytes; at most 524288"),
        ("- 1\n".into(), "a plan begins with"),
        ("a: !tag 1\n".into(), ""),
        (String::new(), ""),
    ];
    for (text, expected) in cases {
        let problems = Plan::read(&text).unwrap_err().to_string();
        assert!(problems.contains(expected), "{problems}");
    }
}

#[test]
fn junk_never_panics() {
    let good = "deadelus: 1
title: T
target: shop
params: {n: 1}
scopes: {s: {title: S, on_failure: continue}}
tasks:
  a: {does: t.look, title: A, scope: s}
  b: {does: t.make, title: B, needs: [a], when: \"tasks.a.status == 'done'\",
      inputs: {n: '${ params.n + 1 }', any: ['x${ size(tasks.a.outputs) }', {k: 1}]}}
";
    assert_eq!(problems(good.split_once("target: shop\n").unwrap().1), "");
    let bits = [
        "${", "}", "'", "\"", "[", "]", "{", ":", "\n", "  ", "&a", "*a", "tasks.", "\u{0}", "é",
        "9e999", "-", "!", "?", "%",
    ];
    for seed in 0..3_000_u64 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut text: Vec<char> = good.chars().collect();
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(0..text.len());
            match rng.u8(0..4) {
                0 => _ = text.remove(at),
                1 => text[at] = rng.char(..),
                2 => drop(text.splice(at..at, rng.choice(bits).unwrap().chars())),
                _ => text.truncate(at.max(10)),
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(plan) = Plan::read(&text) {
            let _ = CheckedPlan::check(plan, &cards());
        }
    }
}
