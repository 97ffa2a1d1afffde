//! Several orchestrators: they share the partitions, one takes over what another leaves, and two
//! that believe the same do nothing twice.

use std::{collections::BTreeSet, time::Duration};

use deadelus_mesh::{leases, streams};
use deadelus_proto::{WorkflowId, limits::PARTITIONS, pb::Ending};
use deadelus_tests::fleet::{Fleet, ORCHESTRATOR};
use fastrand::Rng;
use tokio::time::{Instant, sleep};

use crate::{
    kill::{Shops, assert_each_task_is_done_once, seed},
    person::{PATIENCE, Person},
    quiet,
};

const SECOND: &str = "orchestrator-2";
/// Workflows under way while something happens to an orchestrator.
const AT_ONCE: usize = 6;
const POLL: Duration = Duration::from_millis(50);

#[tokio::test]
async fn one_takes_over_what_another_leaves() {
    let _others = quiet::among_others().await;
    let mut rng = Rng::with_seed(seed());
    let shops = Shops::make(4 * AT_ONCE).await;
    let mut fleet = Fleet::of(&[("db", &shops.targets())]);
    fleet.join(SECOND, ORCHESTRATOR, "");
    let ada = Person::at(&fleet).await;
    let both = until_owners(&ada, 2).await;

    // Frozen for longer than a lease lives, then awake with yesterday's state.
    let open = Round::begin(&ada, 0, &mut rng).await;
    fleet.process(ORCHESTRATOR).freeze();
    let other = until_owners(&ada, 1).await;
    assert!(both.is_superset(&other), "{other:?} is of {both:?}");
    open.until_done(&ada, &shops, "one frozen").await;
    let open = Round::begin(&ada, 1, &mut rng).await;
    fleet.process(ORCHESTRATOR).thaw();
    open.until_done(&ada, &shops, "one awake again").await;
    assert_eq!(until_owners(&ada, 2).await, both);

    let open = Round::begin(&ada, 2, &mut rng).await;
    fleet.kill(ORCHESTRATOR);
    assert_eq!(until_owners(&ada, 1).await, other);
    open.until_done(&ada, &shops, "one killed").await;

    fleet.restart(ORCHESTRATOR);
    until_owners(&ada, 2).await;
    let open = Round::begin(&ada, 3, &mut rng).await;
    assert!(fleet.terminate(SECOND).success());
    let last = owners(&ada).await;
    assert!(last.is_disjoint(&other), "{last:?}: who was told to stop has given everything back");
    open.until_done(&ada, &shops, "one told to stop").await;
}

#[tokio::test]
async fn one_that_takes_nothing_over_lets_a_person_look_first() {
    let _others = quiet::among_others().await;
    let shops = Shops::make(1).await;
    let mut fleet = Fleet::of(&[("db", &shops.targets())]);
    let ada = Person::at(&fleet).await;
    let first = until_owners(&ada, 1).await;
    fleet.join(SECOND, ORCHESTRATOR, "[orchestrator]\ntake_over = false\n");
    fleet.kill(ORCHESTRATOR);
    until_owners(&ada, 0).await;
    let id = ada.leave_a_start("wf-0", &crate::plans::comings_and_goings("shop0")).await;
    // Longer than a lease, and somebody answers questions all the while.
    assert!(ada.cards().await.iter().any(|card| card.specialist.as_str() == "db"));
    assert!(owners(&ada).await.is_empty(), "{first:?} is gone and the other must not drive");
    fleet.restart(ORCHESTRATOR);
    ada.until_ended(&id, Ending::Done).await;
}

/// Workflows in the middle of their work.
struct Round {
    open: Vec<(usize, WorkflowId)>,
}

impl Round {
    async fn begin(ada: &Person, round: usize, rng: &mut Rng) -> Self {
        let before = ada.messages(streams::LOG).await;
        let mut open = vec![];
        for place in round * AT_ONCE..(round + 1) * AT_ONCE {
            let plan = crate::plans::comings_and_goings(&format!("shop{place}"));
            open.push((place, ada.start(&format!("wf-{place}"), &plan).await));
        }
        let moment = before + rng.u64(1..5 * AT_ONCE as u64);
        ada.until_stream(streams::LOG, "is so long", |decisions| decisions >= moment).await;
        Self { open }
    }

    async fn until_done(self, ada: &Person, shops: &Shops, what: &str) {
        for (place, id) in self.open {
            let story = ada.until_ended(&id, Ending::Done).await;
            assert_each_task_is_done_once(&story, what);
            shops.assert_only_the_wanted_is_left(place, what).await;
        }
    }
}

/// Who holds partitions, once so many do and every partition is held (or none is).
async fn until_owners(ada: &Person, wanted: usize) -> BTreeSet<String> {
    let begun = Instant::now();
    loop {
        let leases = holders(ada).await;
        let owners: BTreeSet<String> = leases.iter().cloned().collect();
        let all = wanted == 0 || leases.len() == usize::from(PARTITIONS);
        if owners.len() == wanted && all {
            return owners;
        }
        assert!(begun.elapsed() < PATIENCE, "{wanted} owners wanted: {leases:?}");
        sleep(POLL).await;
    }
}

async fn owners(ada: &Person) -> BTreeSet<String> {
    holders(ada).await.into_iter().collect()
}

/// The holder of each partition that is held.
async fn holders(ada: &Person) -> Vec<String> {
    leases::owners(&ada.mesh).await.unwrap().into_values().collect()
}
