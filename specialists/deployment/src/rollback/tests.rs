use super::*;
use deadelus_runtime::{Aftermath, ErrorClass};

use crate::{
    release::fleet::{release, serving_v1, with},
    revision_file::{document, fingerprint},
    rollout::Strategy,
    testing::{Service, TEXT_BEFORE},
};

fn to(revision: &str) -> Inputs {
    Inputs { revision: Some(revision.to_owned()), ..Inputs::default() }
}

#[tokio::test]
async fn a_broken_service_is_repaired_and_the_repair_can_be_taken_back() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    service.write("{ \"revision\": \"sick\" }");
    let capability = Rollback(service.targets());
    let prepared = capability.prepare(&cx, &to("v1")).await.unwrap();
    let done = capability.perform(&cx, &to("v1"), &prepared.before).await.unwrap();
    assert!(done.checks.iter().all(|c| c.pass), "{:?}", done.checks);
    assert_eq!((service.serving(), service.text()), ("v1".to_owned(), document("v1")));

    let undo: Inputs = serde_json::from_value(prepared.undo.unwrap().inputs).unwrap();
    assert_eq!(undo.revision.as_deref(), Some("sick"));
    assert_eq!(undo.text.as_deref(), Some("{ \"revision\": \"sick\" }"));
}

#[tokio::test]
async fn a_file_that_is_gone_is_written_again_and_that_has_no_way_back() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    service.remove_file();
    let capability = Rollback(service.targets());
    let prepared = capability.prepare(&cx, &to("v1")).await.unwrap();
    assert_eq!(prepared.undo, None);
    let found = capability.reconcile(&cx, &to("v1"), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::NotBegun), "{found:?}");
    let done = capability.perform(&cx, &to("v1"), &prepared.before).await.unwrap();
    assert_eq!(done.outputs.fingerprint, fingerprint(&document("v1")));
    let found = capability.reconcile(&cx, &to("v1"), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Done(_)), "{found:?}");
}

#[tokio::test]
async fn a_third_party_s_release_stays() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    let inputs =
        Inputs { text: Some(TEXT_BEFORE.to_owned()), replaces: Some("v2".to_owned()), ..to("v1") };
    service.write(&document("lazy"));
    let failure = Rollback(service.targets()).prepare(&cx, &inputs).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
    assert!(failure.message.contains("the file asks for lazy"), "{failure}");
    assert_eq!(service.text(), document("lazy"));
    // Nor is it written over when it comes between looking and writing.
    service.write(&document("v2"));
    let capability = Rollback(service.targets());
    let prepared = capability.prepare(&cx, &inputs).await.unwrap();
    service.write(&document("lazy"));
    let failure = capability.perform(&cx, &inputs, &prepared.before).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
    assert_eq!(service.text(), document("lazy"));
}

#[tokio::test]
async fn with_nobody_to_answer_the_file_is_back_and_another_attempt_is_due() {
    let (mut service, cx) = (Service::start().await, Context::detached("shop"));
    service.write(&document("v2"));
    service.stop().await;
    let capability = Rollback(service.targets_within(200));
    let prepared = capability.prepare(&cx, &to("v1")).await.unwrap();
    let failure = capability.perform(&cx, &to("v1"), &prepared.before).await.unwrap_err();
    assert_eq!((failure.class, failure.aftermath), (ErrorClass::Unavailable, Aftermath::Partial));
    assert!(failure.checks.iter().all(|c| !c.pass), "{:?}", failure.checks);
    assert_eq!(service.text(), document("v1"));
    let found = capability.reconcile(&cx, &to("v1"), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Partly), "{found:?}");
}

#[tokio::test]
async fn a_service_that_stays_where_it_is_fails_the_checks() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    let capability = Rollback(service.targets_within(200));
    let prepared = capability.prepare(&cx, &to("lazy")).await.unwrap();
    let done = capability.perform(&cx, &to("lazy"), &prepared.before).await.unwrap();
    let failed: Vec<_> = done.checks.iter().filter(|c| !c.pass).map(|c| c.id.as_str()).collect();
    assert_eq!(failed, ["served_revision", "healthy_probes_in_a_row"]);
}

#[tokio::test]
async fn inputs_that_contradict_themselves_are_refused() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    let capability = Rollback(service.targets());
    for inputs in [
        to("v3"),
        Inputs::default(),
        Inputs { routes: Some(deadelus_proxy::Routes::default()), ..to("v1") },
        Inputs { text: Some(document("v2")), ..to("v1") },
        Inputs { text: Some("{}".to_owned()), ..to("v1") },
        Inputs { text: Some(document("v1") + &" ".repeat(5_000)), ..to("v1") },
    ] {
        let failure = capability.prepare(&cx, &inputs).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidInput, "{failure}");
    }
    assert_eq!(service.text(), TEXT_BEFORE);
}

/// Of a fleet: without a table of its own it goes back to the revision alone, from any state.
#[tokio::test]
async fn a_fleet_goes_back_also_from_a_broken_state_and_that_can_be_taken_back() {
    let (bed, cx) = serving_v1(1).await;
    release(&bed, &cx, &with(Strategy::BlueGreen, "v2")).await.unwrap();
    bed.supervisor().kill("v2-0");
    let capability = Rollback(bed.targets.clone());
    let inputs = Inputs { schema_version: Some(7), ..to("v1") };
    let prepared = capability.prepare(&cx, &inputs).await.unwrap();
    let done = capability.perform(&cx, &inputs, &prepared.before).await.unwrap();
    assert!(done.checks.iter().all(|c| c.pass), "{:?}", done.checks);
    assert_eq!(bed.table().await, "v1-0=100 v2-0=0");
    let found = capability.reconcile(&cx, &inputs, &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Partly), "{found:?}");

    let undo: Inputs = serde_json::from_value(prepared.undo.unwrap().inputs).unwrap();
    let prepared = capability.prepare(&cx, &undo).await.unwrap();
    let done = capability.perform(&cx, &undo, &prepared.before).await.unwrap();
    assert!(done.checks.iter().all(|c| c.pass), "{:?}", done.checks);
    assert_eq!(bed.table().await, "v1-0=0 v2-0=100");
    let found = capability.reconcile(&cx, &undo, &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Done(_)), "{found:?}");
}

#[tokio::test]
async fn a_table_that_contradicts_itself_or_the_schema_is_refused() {
    let (bed, cx) = serving_v1(1).await;
    let before = bed.routes().await;
    let table = |text: &str| Some(crate::routing::table::routes(text));
    let v1 = || Inputs { schema_version: Some(7), ..to("v1") };
    for (inputs, class) in [
        (Inputs { text: Some(document("v1")), ..v1() }, ErrorClass::InvalidInput),
        (Inputs { routes: table("v2-0=100"), ..v1() }, ErrorClass::InvalidInput),
        (Inputs { routes: table("v1-0=999"), ..v1() }, ErrorClass::InvalidInput),
        (Inputs { routes: table("v1-0=1 evil-0=0"), ..v1() }, ErrorClass::InvalidInput),
        (Inputs::default(), ErrorClass::InvalidInput),
        (Inputs { schema_version: Some(8), ..to("v1") }, ErrorClass::PreconditionFailed),
        (to("v1"), ErrorClass::PreconditionFailed),
    ] {
        let failure = Rollback(bed.targets.clone()).prepare(&cx, &inputs).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
    }
    assert_eq!(bed.routes().await, before);
}
