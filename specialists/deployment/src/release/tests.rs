use deadelus_runtime::{Aftermath, Artefact, Undo};
use serde_json::Value;

use super::*;
use crate::{
    revision_file::{document, fingerprint},
    rollback::Rollback,
    testing::{Service, TEXT_BEFORE, until},
};

pub(super) fn to(revision: &str) -> Inputs {
    Inputs { revision: revision.to_owned(), ..Inputs::default() }
}

pub(super) async fn release(
    release: &Release,
    cx: &Context,
    revision: &str,
) -> Result<(Measured<Outputs>, Prepared<Before>), Failure> {
    let prepared = release.prepare(cx, &to(revision)).await?;
    Ok((release.perform(cx, &to(revision), &prepared.before).await?, prepared))
}

/// Runs a recorded undo, as the runtime does.
pub(super) async fn take_back(
    targets: Targets,
    cx: &Context,
    undo: Undo,
) -> Measured<rollback::Outputs> {
    assert_eq!(undo.capability.to_string(), "deployment.rollback");
    let rollback = Rollback(targets);
    let inputs = serde_json::from_value(undo.inputs).unwrap();
    let prepared = rollback.prepare(cx, &inputs).await.unwrap();
    let measured = rollback.perform(cx, &inputs, &prepared.before).await.unwrap();
    assert!(measured.checks.iter().all(|c| c.pass), "{:?}", measured.checks);
    measured
}

async fn timeline(cx: &Context, artefacts: &[Artefact]) -> Value {
    assert_eq!(artefacts[0].name, "timeline.json");
    serde_json::from_slice(&cx.fetch(&artefacts[0]).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_release_is_served_and_its_undo_brings_back_every_byte() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    let (done, prepared) = release(&Release(service.targets()), &cx, "v2").await.unwrap();
    assert_eq!(service.serving(), "v2");
    assert_eq!(
        (done.outputs.revision.as_str(), done.outputs.previous.as_deref()),
        ("v2", Some("v1"))
    );
    assert_eq!(done.outputs.fingerprint, fingerprint(&service.text()));
    assert_eq!(done.checks.len(), 3);
    assert!(done.checks.iter().all(|c| c.pass), "{:?}", done.checks);
    let timeline = timeline(&cx, &done.artefacts).await;
    let last = timeline["switches"][0]["probes"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["answer"], &last["revision"]), (&"serving".into(), &"v2".into()));
    let body: Value = serde_json::from_str(last["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, serde_json::json!({"revision": "v2", "status": "ok"}));

    let back = take_back(service.targets(), &cx, prepared.undo.unwrap()).await;
    assert_eq!(service.serving(), "v1");
    assert_eq!(service.text(), TEXT_BEFORE);
    assert_eq!(back.outputs.fingerprint, done.outputs.fingerprint_before);
}

#[tokio::test]
async fn twice_is_once() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    let capability = Release(service.targets());
    let (_, prepared) = release(&capability, &cx, "v2").await.unwrap();
    let found = capability.reconcile(&cx, &to("v2"), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Done(_)), "{found:?}");
    let again = capability.perform(&cx, &to("v2"), &prepared.before).await.unwrap();
    assert_eq!(again.outputs.previous.as_deref(), Some("v1"));

    let undo = prepared.undo.unwrap();
    take_back(service.targets(), &cx, undo.clone()).await;
    take_back(service.targets(), &cx, undo).await;
    assert_eq!(service.text(), TEXT_BEFORE);
}

#[tokio::test]
async fn what_is_served_already_is_released_without_a_touch() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    let (done, prepared) = release(&Release(service.targets()), &cx, "v1").await.unwrap();
    assert_eq!(done.outputs.fingerprint, done.outputs.fingerprint_before);
    assert_eq!(service.text(), TEXT_BEFORE);
    take_back(service.targets(), &cx, prepared.undo.unwrap()).await;
    assert_eq!(service.text(), TEXT_BEFORE);
}

#[tokio::test]
async fn a_release_that_is_cancelled_half_way_takes_itself_back() {
    let (service, (cx, cancel)) = (Service::start().await, Context::detached_with_cancel("shop"));
    let capability = Release(service.targets());
    // The service never follows it: without the cancel the release would go on.
    let inputs = to("lazy");
    let prepared = capability.prepare(&cx, &inputs).await.unwrap();
    let cancelled = async {
        until(|| service.text() != TEXT_BEFORE).await;
        cancel.cancel();
    };
    let (done, ()) = tokio::join!(capability.perform(&cx, &inputs, &prepared.before), cancelled);
    let failure = done.unwrap_err();
    assert_eq!((failure.class, failure.aftermath), (ErrorClass::Denied, Aftermath::TakenBack));
    assert_eq!((service.text().as_str(), service.serving().as_str()), (TEXT_BEFORE, "v1"));
    let timeline = timeline(&cx, &failure.artefacts).await;
    assert_eq!(timeline["switches"].as_array().unwrap().len(), 2, "there and back: {timeline}");
}

#[tokio::test]
async fn a_revision_that_the_service_cannot_carry_is_taken_back_at_once() {
    for (revision, reason) in [
        ("sick", "status 503 Service Unavailable"),
        ("v9", "it does not follow v9: unknown revision"),
        ("lazy", "it did not settle within 1000 ms"),
    ] {
        let (service, cx) = (Service::start().await, Context::detached("shop"));
        let capability = Release(service.targets_within(1_000));
        let failure = release(&capability, &cx, revision).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::CheckFailed, "{revision}");
        assert_eq!(failure.aftermath, Aftermath::TakenBack, "{revision}");
        assert_eq!(failure.message, reason);
        assert!(failure.checks.iter().any(|c| !c.pass), "{revision}");
        assert_eq!((service.serving().as_str(), service.text().as_str()), ("v1", TEXT_BEFORE));
        let timeline = timeline(&cx, &failure.artefacts).await;
        assert_eq!(timeline["switches"][0]["to"], revision);
        let back = timeline["switches"][1]["probes"].as_array().unwrap();
        assert!(back.len() >= 3 && back.iter().all(|p| p["revision"] == "v1"), "{back:?}");
    }
}

#[tokio::test]
async fn killed_half_way_it_is_found_partly_done_and_can_be_undone() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    // For minutes, as far as this test can tell: the service never gets round to it.
    let targets = service.targets_within(50_000);
    let prepared = Release(targets.clone()).prepare(&cx, &to("lazy")).await.unwrap();
    let before = prepared.before.clone();
    let (killed, theirs) = (Release(targets), cx.clone());
    let work =
        tokio::spawn(
            async move { killed.perform(&theirs, &to("lazy"), &before).await.map(|_| ()) },
        );
    until(|| service.text() == document("lazy")).await;
    work.abort();
    assert!(work.await.unwrap_err().is_cancelled());

    let capability = Release(service.targets_within(200));
    let found = capability.reconcile(&cx, &to("lazy"), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Partly), "{found:?}");
    take_back(service.targets(), &cx, prepared.undo.unwrap()).await;
    assert_eq!((service.serving().as_str(), service.text().as_str()), ("v1", TEXT_BEFORE));
}

#[tokio::test]
async fn the_undo_of_a_release_that_never_began_changes_nothing() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    let capability = Release(service.targets());
    let prepared = capability.prepare(&cx, &to("v2")).await.unwrap();
    let found = capability.reconcile(&cx, &to("v2"), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::NotBegun), "{found:?}");
    take_back(service.targets(), &cx, prepared.undo.unwrap()).await;
    assert_eq!((service.serving().as_str(), service.text().as_str()), ("v1", TEXT_BEFORE));
}

#[tokio::test]
async fn a_release_that_lost_its_service_says_what_is_still_amiss() {
    let (mut service, cx) = (Service::start().await, Context::detached("shop"));
    let capability = Release(service.targets_within(200));
    let prepared = capability.prepare(&cx, &to("v2")).await.unwrap();
    service.stop().await;
    let failure = capability.perform(&cx, &to("v2"), &prepared.before).await.unwrap_err();
    assert_eq!((failure.class, failure.aftermath), (ErrorClass::CheckFailed, Aftermath::Partial));
    assert!(failure.message.contains("did not come back to v1"), "{failure}");
    assert_eq!(service.text(), TEXT_BEFORE);
}

#[tokio::test]
async fn where_a_release_cannot_start_from_nothing_is_touched() {
    type Spoil = fn(&Service);
    let cases: [(&str, Spoil, ErrorClass, &str); 6] = [
        ("v3", |_| (), ErrorClass::InvalidInput, "declared are: lazy,sick,v1,v2,v9"),
        ("v2", |s| s.write("{\"revi"), ErrorClass::PreconditionFailed, "rollback repairs"),
        ("v2", |s| s.write(&document("v7")), ErrorClass::PreconditionFailed, "rollback repairs"),
        ("v2", |s| s.write(&document("lazy")), ErrorClass::PreconditionFailed, "check that"),
        ("v2", Service::remove_file, ErrorClass::PreconditionFailed, "rollback repairs"),
        ("v2", Service::remove_folder, ErrorClass::PreconditionFailed, "rollback repairs"),
    ];
    for (revision, spoil, class, help) in cases {
        let (service, cx) = (Service::start().await, Context::detached("shop"));
        spoil(&service);
        let failure = Release(service.targets()).prepare(&cx, &to(revision)).await.unwrap_err();
        assert_eq!((failure.class, failure.aftermath), (class, Aftermath::Untouched), "{failure}");
        assert!(failure.help.contains(help), "{failure}");
        assert_eq!(service.serving(), "v1");
    }
}

#[tokio::test]
async fn a_file_that_the_service_does_not_follow_is_not_created() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    let elsewhere = service.elsewhere();
    let failure = Release(elsewhere).prepare(&cx, &to("v2")).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
    assert!(failure.message.contains("there is no such file"), "{failure}");
    assert!(failure.help.ends_with(r#"{"revision":"v1"}"#), "{failure}");
}

#[tokio::test]
async fn a_service_that_is_away_can_be_tried_again() {
    let (mut service, cx) = (Service::start().await, Context::detached("shop"));
    service.stop().await;
    let failure = Release(service.targets()).prepare(&cx, &to("v2")).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable);
    assert_eq!(service.text(), TEXT_BEFORE);
}

#[tokio::test]
async fn what_somebody_else_wrote_meanwhile_is_theirs() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    let capability = Release(service.targets());
    let prepared = capability.prepare(&cx, &to("v2")).await.unwrap();
    service.write(&document("sick"));
    let asked = service.asked();
    let failure = capability.perform(&cx, &to("v2"), &prepared.before).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
    assert_eq!(failure.aftermath, Aftermath::Untouched);
    assert_eq!((service.text(), service.asked()), (document("sick"), asked));
}
