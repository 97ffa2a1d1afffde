//! The same with HAProxy before the fleet, where it is installed.

use super::{
    fleet::{canary, kill_at, release, with},
    tests::take_back,
    *,
};
use crate::fleet::testing::Bed;

async fn bed() -> Option<(Bed, Context)> {
    let Some(bed) = Bed::with_haproxy().await else {
        eprintln!("SKIPPED: releases behind HAProxy need it (Debian: apt-get install haproxy)");
        return None;
    };
    let cx = Context::detached("shop");
    release(&bed, &cx, &with(Strategy::BlueGreen, "v1")).await.unwrap();
    Some((bed, cx))
}

#[tokio::test]
async fn nobody_is_refused_there_and_back() {
    for strategy in [Strategy::BlueGreen, canary()] {
        let Some((bed, cx)) = bed().await else { return };
        let before = (bed.routes().await, bed.processes());
        let customers = bed.customers();
        let (done, undo) = release(&bed, &cx, &with(strategy.clone(), "v2")).await.unwrap();
        assert!(done.checks.iter().all(|c| c.pass), "{:?}", done.checks);
        assert_eq!(bed.table().await, "v1-0=0 v2-0=100");
        take_back(bed.targets.clone(), &cx, undo).await;
        assert_eq!((bed.routes().await, bed.processes()), before);
        let (asked, refused) = customers.leave();
        assert_eq!(refused, 0, "of {asked}, {strategy:?}");
    }
}

#[tokio::test]
async fn killed_at_any_step_it_is_carried_to_its_end_and_taken_back() {
    for killed_at in ["v1-0=100", "v1-0=90 v2-0=10", "v1-0=0 v2-0=100"] {
        let Some((bed, cx)) = bed().await else { return };
        let before = (bed.routes().await, bed.processes());
        let customers = bed.customers();
        let capability = Release(bed.targets.clone());
        let inputs = with(canary(), "v2");
        let prepared = capability.prepare(&cx, &inputs).await.unwrap();
        kill_at(&bed, &cx, &inputs, &prepared.before, killed_at).await;
        let done = capability.perform(&cx, &inputs, &prepared.before).await.unwrap();
        assert!(done.checks.iter().all(|c| c.pass), "{killed_at}: {:?}", done.checks);
        take_back(bed.targets.clone(), &cx, prepared.undo.unwrap()).await;
        assert_eq!((bed.routes().await, bed.processes()), before, "{killed_at}");
        let (asked, refused) = customers.leave();
        assert_eq!(refused, 0, "of {asked}, {killed_at}");
    }
}

#[tokio::test]
async fn a_slow_canary_goes_no_further_here_either() {
    let Some((bed, cx)) = bed().await else { return };
    let before = bed.routes().await;
    let failure = release(&bed, &cx, &with(canary(), "slow")).await.unwrap_err();
    assert!(failure.message.contains("answers of slow take"), "{failure}");
    assert_eq!(bed.routes().await, before);
}

#[tokio::test]
async fn a_backend_that_is_not_there_is_named() {
    let Some(bed) = Bed::with_haproxy_backend("nobody").await else { return };
    let cx = Context::detached("shop");
    let failure = Release(bed.targets.clone()).prepare(&cx, &with(canary(), "v1")).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed, "{failure}");
    assert!(failure.message.contains("haproxy refused: Can't find backend"), "{failure}");
}
