use std::fs;

use deadelus_tests::killed;
use serde_json::{Value, json};

use super::*;
use crate::{
    restore::{self, Restore},
    testing::{Desk, POLICIES, SCHEMA},
};

/// Other policies, as many as are wished.
fn policies(number: usize) -> String {
    format!("// {number}\n{POLICIES}")
}

struct Lab {
    desk: Desk,
    cx: Context,
}

impl Lab {
    fn new() -> Self {
        Self { desk: Desk::new(), cx: Context::detached("shop") }
    }

    fn served(&self) -> Option<String> {
        fs::read_to_string(self.desk.path("served.cedar")).ok()
    }

    /// With an analysis of them against what is there.
    async fn inputs(&self, number: usize) -> Inputs {
        let sha256 = |text: Option<String>| digest(&text.map(String::into_bytes));
        let (old, new) = (sha256(self.served()), sha256(Some(policies(number))));
        self.analysed(number, &json!({"old_sha256": old, "new_sha256": new, "unlisted": 0})).await
    }

    async fn analysed(&self, number: usize, analysis: &Value) -> Inputs {
        let analysis = analysis.to_string().into();
        let analysis = self.cx.keep("analysis.json", "application/json", analysis).await.unwrap();
        let value = json!({"policies": {"inline": policies(number)}, "schema": {"inline": SCHEMA},
            "analysis": analysis});
        serde_json::from_value(value).unwrap()
    }

    fn publish(&self) -> PolicyPublish {
        PolicyPublish(self.desk.targets())
    }

    async fn prepare(&self, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        self.publish().prepare(&self.cx, inputs).await
    }

    async fn done(&self, number: usize) -> Prepared<Before> {
        let inputs = self.inputs(number).await;
        let prepared = self.prepare(&inputs).await.unwrap();
        let measured = self.publish().perform(&self.cx, &inputs, &prepared.before).await.unwrap();
        assert!(measured.checks.iter().all(|check| check.pass), "{:?}", measured.checks);
        prepared
    }

    async fn found(&self, number: usize, prepared: &Prepared<Before>) -> &'static str {
        match self
            .publish()
            .reconcile(&self.cx, &self.inputs(number).await, &prepared.before)
            .await
            .unwrap()
        {
            Found::NotBegun => "not begun",
            Found::Partly => "partly",
            Found::Done(_) => "done",
        }
    }

    /// Runs what an undo record says, and gives its own.
    async fn undo(&self, prepared: &Prepared<Before>) -> Result<Prepared<Before>, Failure> {
        let undo = prepared.undo.clone().unwrap();
        assert_eq!(undo.capability.to_string(), "auth.policy_restore");
        self.restore(undo.inputs).await
    }

    async fn restore(&self, inputs: Value) -> Result<Prepared<Before>, Failure> {
        let restore = Restore { targets: self.desk.targets(), kind: Kind::Policies };
        let inputs: restore::Inputs = serde_json::from_value(inputs).unwrap();
        let prepared = restore.prepare(&self.cx, &inputs).await?;
        let measured = restore.perform(&self.cx, &inputs, &prepared.before).await?;
        assert!(measured.checks.iter().all(|check| check.pass), "{:?}", measured.checks);
        let found = restore.reconcile(&self.cx, &inputs, &prepared.before).await?;
        assert!(matches!(found, Found::Done(_)), "{found:?}");
        Ok(prepared)
    }
}

#[tokio::test]
async fn an_undo_brings_back_every_byte_however_often_it_runs() {
    let lab = Lab::new();
    let first = lab.done(1).await;
    let second = lab.done(2).await;
    assert_eq!(lab.served(), Some(policies(2)));
    for _ in 0..2 {
        lab.undo(&second).await.unwrap();
        assert_eq!(lab.served(), Some(policies(1)));
    }
    for _ in 0..2 {
        lab.undo(&first).await.unwrap();
        assert_eq!(lab.served(), None);
    }
}

#[tokio::test]
async fn an_undo_can_be_undone_and_a_repetition_changes_nothing() {
    let lab = Lab::new();
    lab.done(1).await;
    let second = lab.done(2).await;
    let back = lab.undo(&second).await.unwrap();
    lab.undo(&back).await.unwrap();
    assert_eq!(lab.served(), Some(policies(2)));
    // A second task that publishes the same takes nothing away when it is undone.
    let again = lab.done(2).await;
    lab.undo(&again).await.unwrap();
    assert_eq!(lab.served(), Some(policies(2)));
}

#[tokio::test]
async fn a_crash_before_or_after_the_effect_is_seen_and_its_undo_is_right() {
    let lab = Lab::new();
    lab.done(1).await;
    let prepared = lab.prepare(&lab.inputs(2).await).await.unwrap();
    assert_eq!(lab.found(2, &prepared).await, "not begun");
    lab.undo(&prepared).await.unwrap();
    assert_eq!(lab.served(), Some(policies(1)));
    let publish = lab.publish();
    publish.perform(&lab.cx, &lab.inputs(2).await, &prepared.before).await.unwrap();
    assert_eq!(lab.found(2, &prepared).await, "done");
    // A second worker that does not know changes nothing.
    publish.perform(&lab.cx, &lab.inputs(2).await, &prepared.before).await.unwrap();
    lab.undo(&prepared).await.unwrap();
    assert_eq!(lab.served(), Some(policies(1)));
}

#[tokio::test]
async fn what_somebody_else_wrote_stays() {
    let lab = Lab::new();
    let prepared = lab.prepare(&lab.inputs(1).await).await.unwrap();
    lab.desk.write("served.cedar", "// theirs");
    let failure =
        lab.publish().perform(&lab.cx, &lab.inputs(1).await, &prepared.before).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
    assert_eq!(lab.undo(&prepared).await.unwrap_err().class, ErrorClass::PreconditionFailed);
    assert_eq!(lab.served().as_deref(), Some("// theirs"));
}

#[tokio::test]
async fn a_plan_made_on_something_else_is_refused() {
    let lab = Lab::new();
    let digest_of = |number| digest(&Some(policies(number).into_bytes()));
    lab.done(1).await;
    for (expect, class) in [
        ("nothing".to_owned(), ErrorClass::PreconditionFailed),
        (digest_of(3), ErrorClass::PreconditionFailed),
        ("yesterday".to_owned(), ErrorClass::InvalidInput),
    ] {
        let planned = Inputs { expect: Some(expect), ..lab.inputs(2).await };
        assert_eq!(lab.prepare(&planned).await.unwrap_err().class, class);
    }
    let planned = Inputs { expect: Some(digest_of(1)), ..lab.inputs(2).await };
    lab.prepare(&planned).await.unwrap();
    assert_eq!(lab.served(), Some(policies(1)));
}

#[tokio::test]
async fn a_source_that_changes_between_plan_and_effect_is_refused() {
    let lab = Lab::new();
    lab.desk.write("new.cedar", &policies(1));
    let mut inputs = lab.inputs(1).await;
    inputs.policies = serde_json::from_value(json!({"file": "new.cedar"})).unwrap();
    let prepared = lab.prepare(&inputs).await.unwrap();
    lab.desk.write("new.cedar", &policies(2));
    let failure = lab.publish().perform(&lab.cx, &inputs, &prepared.before).await.unwrap_err();
    assert_eq!((failure.class, lab.served()), (ErrorClass::PreconditionFailed, None));
}

#[tokio::test]
async fn what_does_not_validate_is_not_published() {
    let lab = Lab::new();
    for policies in [
        "permit(principal",
        "permit(principal, action, resource) when { principal.nothing };",
        "permit(principal, action, resource) when { false };",
    ] {
        let mut inputs = lab.inputs(1).await;
        inputs.policies = serde_json::from_value(json!({ "inline": policies })).unwrap();
        let failure = lab.prepare(&inputs).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidInput, "{failure:?}");
    }
    let bare = crate::target::checked(
        [("shop".parse().unwrap(), serde_json::from_value(json!({"folder": "/"})).unwrap())].into(),
    );
    let failure =
        PolicyPublish(bare.unwrap()).prepare(&lab.cx, &lab.inputs(1).await).await.unwrap_err();
    assert_eq!((failure.class, lab.served()), (ErrorClass::Unsupported, None));
}

#[tokio::test]
async fn what_was_not_analysed_as_it_is_is_denied() {
    let lab = Lab::new();
    lab.done(1).await;
    let of = |number| digest(&Some(policies(number).into_bytes()));
    for (old, new, unlisted, said) in [
        (of(1), of(3), 0, "other policies than these"),
        (of(2), of(2), 0, ""),
        (of(3), of(2), 0, "those that are published"),
        (of(1), of(2), 1, "more is allowed"),
    ] {
        let analysis = json!({"old_sha256": old, "new_sha256": new, "unlisted": unlisted});
        let failure = lab.prepare(&lab.analysed(2, &analysis).await).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Denied);
        assert!(failure.message.contains(said), "{failure:?}");
    }
    let failure = lab.prepare(&lab.analysed(2, &json!([])).await).await.unwrap_err();
    assert_eq!((failure.class, lab.served()), (ErrorClass::Denied, Some(policies(1))));
}

#[tokio::test]
async fn what_policy_analyze_keeps_is_what_is_published_by() {
    let lab = Lab::new();
    lab.done(1).await;
    let analyze = crate::policy_analyze::PolicyAnalyze(lab.desk.targets());
    let value = json!({"new": {"inline": policies(2)}, "schema": {"inline": SCHEMA}});
    let analyze = deadelus_runtime::ReadCapability::perform(
        &analyze,
        &lab.cx,
        serde_json::from_value(value).unwrap(),
    );
    let measured = analyze.await.unwrap();
    let inputs = Inputs { analysis: measured.artefacts[0].clone(), ..lab.inputs(2).await };
    lab.prepare(&inputs).await.unwrap();
}

#[tokio::test]
async fn what_fails_leaves_the_old_policies_in_force() {
    let lab = Lab::new();
    lab.done(1).await;
    let prepared = lab.prepare(&lab.inputs(2).await).await.unwrap();
    let (file, away) = (lab.desk.path("served.cedar"), lab.desk.path("away"));
    fs::rename(&file, &away).unwrap();
    fs::create_dir(&file).unwrap();
    let failure =
        lab.publish().perform(&lab.cx, &lab.inputs(2).await, &prepared.before).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable);
    fs::remove_dir(&file).unwrap();
    fs::rename(&away, &file).unwrap();
    assert_eq!(lab.found(2, &prepared).await, "not begun");
    assert_eq!(lab.served(), Some(policies(1)));
}

/// Kills are spread over this many publications.
const KILLS: usize = 10;

#[tokio::test]
async fn a_process_that_is_killed_leaves_whole_policies() {
    let lab = Lab::new();
    for kill in 0..KILLS {
        killed::after(kill + 1, "policy_publish::tests::publishes_for_ever", lab.desk.root());
        let served = lab.served().unwrap();
        assert!([policies(1), policies(2)].contains(&served), "{served}");
    }
    // And the next one finds nothing in its way.
    let third = lab.done(3).await;
    assert_eq!(lab.found(3, &third).await, "done");
}

#[tokio::test]
#[ignore = "a program for the test above, which kills it"]
async fn publishes_for_ever() {
    let served = Served { kind: Kind::Policies, path: killed::folder().join("served.cedar") };
    for number in [1, 2].into_iter().cycle() {
        let wanted = Some(policies(number).into_bytes());
        let before =
            Before { previous: digest(&served.now().await.unwrap()), wanted: digest(&wanted) };
        served.replace(wanted, &before).await.unwrap();
        killed::done();
    }
}
