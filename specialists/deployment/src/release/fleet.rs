//! Releases of a fleet: real processes, a real proxy, and customers who do not know of either.

use deadelus_runtime::{Aftermath, Undo};

use super::{
    tests::{take_back, to},
    *,
};
use crate::{
    fleet::testing::{Bed, checked},
    testing::until,
};

/// With the version of the schema that both v1 and v2 work with.
pub(crate) fn with(strategy: Strategy, revision: &str) -> Inputs {
    Inputs { strategy, schema_version: Some(7), ..to(revision) }
}

pub(crate) fn canary() -> Strategy {
    Strategy::Canary { percents: vec![10, 50] }
}

pub(crate) async fn release(
    bed: &Bed,
    cx: &Context,
    inputs: &Inputs,
) -> Result<(Measured<Outputs>, Undo), Failure> {
    let capability = Release(bed.targets.clone());
    let prepared = capability.prepare(cx, inputs).await?;
    let done = capability.perform(cx, inputs, &prepared.before).await?;
    Ok((done, prepared.undo.unwrap()))
}

/// A bed where v1 serves.
pub(crate) async fn serving_v1(replicas: usize) -> (Bed, Context) {
    let (bed, cx) = (Bed::start(replicas).await, Context::detached("shop"));
    release(&bed, &cx, &with(Strategy::BlueGreen, "v1")).await.unwrap();
    (bed, cx)
}

#[tokio::test]
async fn the_first_release_serves_and_its_undo_leaves_nothing() {
    let (bed, cx) = (Bed::start(1).await, Context::detached("shop"));
    let (done, undo) = release(&bed, &cx, &with(canary(), "v1")).await.unwrap();
    assert!(done.checks.iter().all(|c| c.pass), "{:?}", done.checks);
    assert_eq!((done.outputs.previous, bed.table().await), (None, "v1-0=100".to_owned()));
    take_back(bed.targets.clone(), &cx, undo.clone()).await;
    take_back(bed.targets.clone(), &cx, undo).await;
    assert_eq!((bed.table().await.as_str(), bed.processes().len()), ("", 0));
}

#[tokio::test]
async fn nobody_is_refused_there_and_back_whatever_the_strategy() {
    for strategy in [Strategy::BlueGreen, Strategy::Rolling, canary()] {
        let (bed, cx) = serving_v1(2).await;
        let before = (bed.routes().await, bed.processes());
        let customers = bed.customers();
        let (done, undo) = release(&bed, &cx, &with(strategy.clone(), "v2")).await.unwrap();
        assert!(done.checks.iter().all(|c| c.pass), "{:?}", done.checks);
        assert_eq!(done.outputs.previous.as_deref(), Some("v1"));
        assert_eq!(bed.table().await, "v1-0=0 v1-1=0 v2-0=100 v2-1=100", "{strategy:?}");
        assert_eq!(bed.processes().len(), 4, "the old ones are kept warm");
        let back = take_back(bed.targets.clone(), &cx, undo).await;
        assert_eq!((bed.routes().await, bed.processes()), before);
        assert_eq!(back.outputs.fingerprint, done.outputs.fingerprint_before);
        let (asked, refused) = customers.leave();
        assert!(asked > 100, "only {asked} customers came");
        assert_eq!(refused, 0, "of {asked}, {strategy:?}");
    }
}

#[tokio::test]
async fn a_revision_that_does_not_prove_itself_is_taken_back_and_nobody_else_notices() {
    for (revision, reasons) in [
        ("sick", ["did not become well in time: the service says it is \"down\"", "-"]),
        ("gone", ["has ended: /no/such/program", "-"]),
        // Whoever sees it first: the supervisor, or a customer.
        ("frail", ["frail-0 has ended: exit status: 3", "a customer was refused"]),
    ] {
        let (bed, cx) = serving_v1(1).await;
        let before = (bed.routes().await, bed.processes());
        let customers = bed.customers();
        let targets = if revision == "sick" { bed.hasty() } else { bed.targets.clone() };
        let capability = Release(targets);
        let inputs = with(Strategy::BlueGreen, revision);
        let prepared = capability.prepare(&cx, &inputs).await.unwrap();
        let failure = capability.perform(&cx, &inputs, &prepared.before).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::CheckFailed, "{failure}");
        assert_eq!(failure.aftermath, Aftermath::TakenBack, "{failure}");
        let told = reasons.iter().any(|reason| failure.message.contains(reason));
        assert!(told, "{revision}: {failure}");
        assert_eq!(failure.artefacts[0].name, "timeline.json");
        assert_eq!((bed.routes().await, bed.processes()), before, "{revision}");
        let (asked, refused) = customers.leave();
        if revision != "frail" {
            assert_eq!(refused, 0, "of {asked}, {revision}");
        }
    }
}

#[tokio::test]
async fn a_canary_that_is_slow_or_fails_goes_no_further() {
    for (revision, reason) in [("slow", "answers of slow take"), ("faulty", "status 500")] {
        let (bed, cx) = serving_v1(1).await;
        let before = bed.routes().await;
        let mut inputs = with(canary(), revision);
        inputs.gates = Gates { requests: 30, ..Gates::default() };
        let failure = release(&bed, &cx, &inputs).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::CheckFailed, "{failure}");
        assert!(
            failure.message.contains(reason) || failure.message.contains("answers of faulty"),
            "{revision}: {failure}"
        );
        assert_eq!(bed.routes().await, before);
        let timeline = &cx.fetch(&failure.artefacts[0]).await.unwrap();
        let timeline: serde_json::Value = serde_json::from_slice(timeline).unwrap();
        assert_eq!(timeline["steps"].as_array().unwrap().len(), 1, "{revision}: {failure}");
    }
}

#[tokio::test]
async fn killed_at_any_step_it_is_carried_to_its_end_and_nobody_is_refused() {
    for killed_at in ["v1-0=100", "v1-0=90 v2-0=10", "v1-0=50 v2-0=50", "v1-0=0 v2-0=100"] {
        let (bed, cx) = serving_v1(1).await;
        let before = (bed.routes().await, bed.processes());
        let customers = bed.customers();
        let capability = Release(bed.targets.clone());
        let inputs = with(canary(), "v2");
        let prepared = capability.prepare(&cx, &inputs).await.unwrap();
        let found = capability.reconcile(&cx, &inputs, &prepared.before).await.unwrap();
        assert!(matches!(found, Found::NotBegun), "{found:?}");

        kill_at(&bed, &cx, &inputs, &prepared.before, killed_at).await;
        let found = capability.reconcile(&cx, &inputs, &prepared.before).await.unwrap();
        if killed_at == "v1-0=0 v2-0=100" {
            assert!(matches!(found, Found::Done(_)), "{killed_at}: {found:?}");
        } else {
            assert!(matches!(found, Found::Partly), "{killed_at}: {found:?}");
        }
        let done = capability.perform(&cx, &inputs, &prepared.before).await.unwrap();
        assert!(done.checks.iter().all(|c| c.pass), "{killed_at}: {:?}", done.checks);
        assert_eq!(bed.table().await, "v1-0=0 v2-0=100");

        // And the same on the way back, begun half-way too.
        kill_at(&bed, &cx, &inputs, &prepared.before, "v1-0=0 v2-0=100").await;
        take_back(bed.targets.clone(), &cx, prepared.undo.unwrap()).await;
        assert_eq!((bed.routes().await, bed.processes()), before, "{killed_at}");
        let (asked, refused) = customers.leave();
        assert_eq!(refused, 0, "of {asked}, {killed_at}");
    }
}

/// Begins, and is gone without a farewell once the table looks like this and v2 runs.
pub(crate) async fn kill_at(
    bed: &Bed,
    cx: &Context,
    inputs: &Inputs,
    before: &Before,
    table: &str,
) {
    let (killed, inputs) = (Release(bed.targets.clone()), inputs.clone());
    let (theirs, before) = (cx.clone(), before.clone());
    let work =
        tokio::spawn(async move { killed.perform(&theirs, &inputs, &before).await.map(drop) });
    wait_for(bed, table).await;
    work.abort();
    let _ = work.await;
}

/// Until the table looks like this and v2 runs.
async fn wait_for(bed: &Bed, table: &str) {
    for _ in 0..5_000 {
        if bed.table().await == table && bed.processes().iter().any(|name| name == "v2-0") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("the table is {}, not {table}", bed.table().await);
}

/// Where the process that is killed finds what it works on.
const TARGET: &str = "DEPLOYMENT_TEST_TARGET";

/// A specialist's part in the next test: a process of its own, so that it can be killed as one.
#[tokio::test]
#[ignore = "run by the next test, which kills it"]
async fn the_one_that_is_killed() {
    let Ok(config) = std::env::var(TARGET) else {
        eprintln!("SKIPPED: this is a part of another test, which runs it");
        return;
    };
    let config = serde_json::from_str(&config).unwrap();
    let (capability, inputs) = (Release(checked(config)), with(canary(), "v2"));
    let cx = Context::detached("shop");
    let prepared = capability.prepare(&cx, &inputs).await.unwrap();
    capability.perform(&cx, &inputs, &prepared.before).await.unwrap();
}

#[tokio::test]
async fn its_process_killed_by_the_system_in_the_middle_nobody_is_refused() {
    for killed_at in ["v1-0=100", "v1-0=90 v2-0=10", "v1-0=50 v2-0=50"] {
        let (bed, cx) = serving_v1(1).await;
        let before = (bed.routes().await, bed.processes());
        let customers = bed.customers();
        let capability = Release(bed.targets.clone());
        let inputs = with(canary(), "v2");
        let prepared = capability.prepare(&cx, &inputs).await.unwrap();
        let mut specialist = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "release::fleet::the_one_that_is_killed", "--ignored"])
            .env(TARGET, bed.described())
            .spawn()
            .unwrap();
        wait_for(&bed, killed_at).await;
        specialist.kill().unwrap();
        specialist.wait().unwrap();

        let found = capability.reconcile(&cx, &inputs, &prepared.before).await.unwrap();
        assert!(matches!(found, Found::Partly), "{killed_at}: {found:?}");
        let done = capability.perform(&cx, &inputs, &prepared.before).await.unwrap();
        assert!(done.checks.iter().all(|c| c.pass), "{killed_at}: {:?}", done.checks);
        assert_eq!(bed.table().await, "v1-0=0 v2-0=100");
        take_back(bed.targets.clone(), &cx, prepared.undo.unwrap()).await;
        assert_eq!((bed.routes().await, bed.processes()), before, "{killed_at}");
        let (asked, refused) = customers.leave();
        assert_eq!(refused, 0, "of {asked}, {killed_at}");
    }
}

#[tokio::test]
async fn the_undo_of_a_release_cut_off_at_any_step_brings_everything_back() {
    for killed_at in ["v1-0=100", "v1-0=90 v2-0=10", "v1-0=0 v2-0=100"] {
        let (bed, cx) = serving_v1(1).await;
        let before = (bed.routes().await, bed.processes());
        let inputs = with(canary(), "v2");
        let prepared = Release(bed.targets.clone()).prepare(&cx, &inputs).await.unwrap();
        kill_at(&bed, &cx, &inputs, &prepared.before, killed_at).await;
        take_back(bed.targets.clone(), &cx, prepared.undo.unwrap()).await;
        assert_eq!((bed.routes().await, bed.processes()), before, "{killed_at}");
    }
}

#[tokio::test]
async fn a_way_back_starts_again_what_has_died_meanwhile() {
    let (bed, cx) = serving_v1(1).await;
    let before = bed.routes().await;
    let (_, undo) = release(&bed, &cx, &with(Strategy::BlueGreen, "v2")).await.unwrap();
    bed.supervisor().stop("v1-0").await.unwrap();
    take_back(bed.targets.clone(), &cx, undo).await;
    assert_eq!((bed.routes().await, bed.processes()), (before, vec!["v1-0".to_owned()]));
}

#[tokio::test]
async fn where_a_release_cannot_start_from_nothing_is_touched() {
    let (bed, cx) = serving_v1(1).await;
    let before = (bed.routes().await, bed.processes());
    let schema = |version| Inputs { schema_version: version, ..with(canary(), "v2") };
    let cases = [
        (to("v3"), ErrorClass::InvalidInput, "v3"),
        (
            with(Strategy::Canary { percents: vec![50, 10] }, "v2"),
            ErrorClass::InvalidInput,
            "rising",
        ),
        (schema(Some(8)), ErrorClass::PreconditionFailed, "it is at 8"),
        (schema(None), ErrorClass::PreconditionFailed, "it was not measured"),
        // v2 could live with it, but there would be no way back to v1.
        (Inputs { schema_version: Some(8), ..to("sick") }, ErrorClass::PreconditionFailed, "v1"),
    ];
    for (inputs, class, text) in cases {
        let failure = Release(bed.targets.clone()).prepare(&cx, &inputs).await.unwrap_err();
        assert_eq!((failure.class, failure.aftermath), (class, Aftermath::Untouched), "{failure}");
        assert!(failure.message.contains(text), "{failure}");
    }
    assert_eq!((bed.routes().await, bed.processes()), before);
}

#[tokio::test]
async fn what_somebody_else_released_meanwhile_is_theirs() {
    let (bed, cx) = serving_v1(1).await;
    let capability = Release(bed.targets.clone());
    let inputs = with(Strategy::BlueGreen, "v2");
    let prepared = capability.prepare(&cx, &inputs).await.unwrap();
    release(&bed, &cx, &with(Strategy::BlueGreen, "stubborn")).await.unwrap();
    let theirs = (bed.routes().await, bed.processes());
    let failure = capability.perform(&cx, &inputs, &prepared.before).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
    assert_eq!(failure.aftermath, Aftermath::Untouched);
    let undo = rollback::Rollback(bed.targets.clone());
    let inputs = serde_json::from_value(prepared.undo.unwrap().inputs).unwrap();
    let failure = undo.prepare(&cx, &inputs).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
    assert_eq!((bed.routes().await, bed.processes()), theirs);
}

#[tokio::test]
async fn without_its_proxy_it_can_be_tried_again() {
    let (bed, cx) = serving_v1(1).await;
    bed.lose_proxy();
    let failure = Release(bed.targets.clone()).prepare(&cx, &to("sick")).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable, "{failure}");
    until(|| bed.processes() == ["v1-0"]).await;
}
