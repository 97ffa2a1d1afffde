use super::*;
use crate::{
    fleet::testing::Bed,
    release::fleet::{release, serving_v1, with},
    rollout::Strategy,
    testing::{Service, TEXT_BEFORE},
};

fn keep(revision: &str) -> Inputs {
    Inputs { revision: revision.to_owned() }
}

async fn released() -> (Bed, Context) {
    let (bed, cx) = serving_v1(1).await;
    release(&bed, &cx, &with(Strategy::BlueGreen, "v2")).await.unwrap();
    (bed, cx)
}

#[tokio::test]
async fn what_was_warm_is_stopped_and_forgotten_under_the_eyes_of_customers() {
    let (bed, cx) = released().await;
    let customers = bed.customers();
    let capability = Commit(bed.targets.clone());
    let prepared = capability.prepare(&cx, &keep("v2")).await.unwrap();
    assert!(prepared.undo.is_none());
    let found = capability.reconcile(&cx, &keep("v2"), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::NotBegun), "{found:?}");
    for _ in 0..2 {
        let done = capability.perform(&cx, &keep("v2"), &prepared.before).await.unwrap();
        assert!(done.checks.iter().all(|c| c.pass), "{:?}", done.checks);
        assert_eq!(done.outputs.stopped, ["v1-0"]);
    }
    let found = capability.reconcile(&cx, &keep("v2"), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Done(_)), "{found:?}");
    assert_eq!(
        (bed.table().await.as_str(), bed.processes()),
        ("v2-0=100", vec!["v2-0".to_owned()])
    );
    let (asked, refused) = customers.leave();
    assert_eq!(refused, 0, "of {asked}");
}

#[tokio::test]
async fn cut_off_after_the_table_it_still_stops_them() {
    let (bed, cx) = released().await;
    let capability = Commit(bed.targets.clone());
    let prepared = capability.prepare(&cx, &keep("v2")).await.unwrap();
    bed.proxy().replace(&without_idle(&bed.routes().await)).await.unwrap();
    let found = capability.reconcile(&cx, &keep("v2"), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::NotBegun), "{found:?}");
    capability.perform(&cx, &keep("v2"), &prepared.before).await.unwrap();
    assert_eq!(bed.processes(), ["v2-0"]);
}

#[tokio::test]
async fn what_is_not_served_cannot_be_kept() {
    let (bed, cx) = released().await;
    let before = (bed.routes().await, bed.processes());
    for (revision, class) in
        [("v1", ErrorClass::PreconditionFailed), ("v9", ErrorClass::InvalidInput)]
    {
        let failure = Commit(bed.targets.clone()).prepare(&cx, &keep(revision)).await.unwrap_err();
        assert_eq!((failure.class, failure.aftermath), (class, Aftermath::Untouched), "{failure}");
    }
    let mut both = bed.routes().await;
    both.servers.iter_mut().for_each(|s| s.weight = 50);
    bed.proxy().replace(&both).await.unwrap();
    let failure = steady_table_of(&bed, &cx).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed, "{failure}");
    assert_eq!((bed.processes(), both.servers.len()), (before.1, before.0.servers.len()));
}

async fn steady_table_of(bed: &Bed, cx: &Context) -> Result<Routes, Failure> {
    match &bed.targets.of(cx)?.way {
        Way::Fleet(fleet) => steady_table(fleet, &keep("v2")).await,
        Way::File(_) => panic!("a fleet"),
    }
}

#[tokio::test]
async fn of_a_file_nothing_was_kept_warm() {
    let (service, cx) = (Service::start().await, Context::detached("shop"));
    let capability = Commit(service.targets());
    let prepared = capability.prepare(&cx, &keep("v1")).await.unwrap();
    let done = capability.perform(&cx, &keep("v1"), &prepared.before).await.unwrap();
    assert!(done.checks.iter().all(|c| c.pass), "{:?}", done.checks);
    assert_eq!(service.text(), TEXT_BEFORE);
    let failure = capability.prepare(&cx, &keep("v2")).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
}
