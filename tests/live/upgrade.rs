//! A rolling upgrade, there and back: an orchestrator and a specialist of an earlier version work beside
//! those of today, and each goes on with what the other began.
//!
//! `tests/upgrade <commit>` builds the earlier programs and names their folder in `DEADELUS_PREVIOUS`.

use std::{env, path::PathBuf};

use deadelus_mesh::streams;
use deadelus_proto::{WorkflowId, pb::Ending};
use deadelus_tests::fleet::{Fleet, ORCHESTRATOR};

use crate::{
    kill::{Shops, assert_each_task_is_done_once},
    person::Person,
    plans::comings_and_goings,
    quiet,
};

const OLD: [&str; 2] = ["old-orchestrator", "old-db"];
const NEW: [&str; 2] = [ORCHESTRATOR, "db"];
/// What an upgrade from before locks across workflows has to say.
const AS_BEFORE: &str = "[limits]\nlocks = false\n";
/// Workflows under way while a version leaves.
const AT_ONCE: usize = 6;
/// The new one comes, it leaves, and the old one leaves.
const ROUNDS: usize = 3;
/// Decisions after which somebody leaves: none of the workflows has ended.
const DECISIONS: u64 = 3 * AT_ONCE as u64;

#[tokio::test]
async fn versions_replace_each_other_while_work_goes_on() {
    let Some(previous) = env::var_os("DEADELUS_PREVIOUS").map(PathBuf::from) else {
        eprintln!("SKIPPED: a rolling upgrade needs an earlier version: tests/upgrade <commit>");
        return;
    };
    let _others = quiet::among_others().await;
    let shops = Shops::make(AT_ONCE * ROUNDS).await;
    let targets = shops.targets();
    // The old one makes the streams; the new one must find them to its liking.
    let mut fleet = Fleet::of_nobody();
    fleet.join_from(&previous.join("deadelus-db"), OLD[1], &targets);
    fleet.join_from(&previous.join("deadelus-orchestrator"), OLD[0], "");
    let ada = Person::at(&fleet).await;
    let open = Round::begin(&ada, 0).await;
    fleet.join(NEW[1], "db", &targets);
    fleet.join(NEW[0], ORCHESTRATOR, AS_BEFORE);
    let story = open.until_done(&ada, &shops, "the new one beside the old one").await;

    let open = Round::begin(&ada, 1).await;
    for name in NEW {
        assert!(fleet.terminate(name).success(), "{name}");
    }
    open.until_done(&ada, &shops, "back to the old one").await;

    for name in NEW {
        fleet.restart(name);
    }
    let open = Round::begin(&ada, 2).await;
    for name in OLD {
        assert!(fleet.terminate(name).success(), "{name}");
    }
    open.until_done(&ada, &shops, "on to the new one").await;

    // What the old one began, the new one takes back alone.
    assert_eq!(ada.undo(&story).await, Vec::<String>::new());
    ada.until_ended(&story, Ending::Undone).await;
}

/// Workflows in the middle of their work.
struct Round {
    open: Vec<(usize, WorkflowId)>,
}

impl Round {
    async fn begin(ada: &Person, round: usize) -> Self {
        let before = ada.messages(streams::LOG).await;
        let mut open = vec![];
        for place in round * AT_ONCE..(round + 1) * AT_ONCE {
            let plan = comings_and_goings(&format!("shop{place}"));
            open.push((place, ada.start(&format!("wf-{place}"), &plan).await));
        }
        let is_so = |decisions| decisions >= before + DECISIONS;
        ada.until_stream(streams::LOG, "is so long", is_so).await;
        Self { open }
    }

    /// One of them.
    async fn until_done(self, ada: &Person, shops: &Shops, what: &str) -> WorkflowId {
        for (place, id) in &self.open {
            let story = ada.until_ended(id, Ending::Done).await;
            assert_each_task_is_done_once(&story, what);
            shops.assert_only_the_wanted_is_left(*place, what).await;
        }
        self.open[0].1.clone()
    }
}
