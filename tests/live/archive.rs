//! Bounded history: what ended is archived by whoever is alive, reads as it did, and can be undone;
//! nothing begins anew.

use std::collections::BTreeMap;

use deadelus_mesh::{
    append, archive,
    lists::{Lists, Shelf},
};
use deadelus_proto::{
    Subject, WorkflowId,
    pb::{self, Direction, Ending, event::Kind},
};
use deadelus_tests::fleet::{Fleet, ORCHESTRATOR};
use fastrand::Rng;
use prost::Message as _;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    cli::Script,
    kill::{Shops, seed},
    person::{PATIENCE, POLL, Person},
    plans::comings_and_goings,
    quiet,
};

/// An orchestrator that archives at once.
const TIDY: &str = "tidy";
const AT_ONCE: &str = "[retention]\nkeep_log = \"0s\"\narchive_for = \"forever\"\n";

/// Workflows that have ended: enough to be killed among.
const ENDED: usize = 12;

/// Kills while they are being archived.
const KILLS: u64 = 3;

#[tokio::test]
async fn killed_while_it_archives_it_goes_on_and_everything_reads_as_before() {
    let _others = quiet::among_others().await;
    let mut rng = Rng::with_seed(seed());
    let shops = Shops::make(ENDED).await;
    let mut fleet = Fleet::of(&[("db", &shops.targets())]);
    let ada = Person::at(&fleet).await;
    let script = Script { home: fleet.home().join("cli"), url: fleet.nats.url.clone() };
    let mut heads = BTreeMap::new();
    for place in 0..ENDED {
        let plan = comings_and_goings(&format!("shop{place}"));
        let id = ada.start(&format!("wf-{place}"), &plan).await;
        ada.until_ended(&id, Ending::Done).await;
        heads.insert(id.clone(), audit(&script, &id));
    }
    fleet.terminate(ORCHESTRATOR);
    fleet.join(TIDY, ORCHESTRATOR, AT_ONCE);
    for _ in 0..KILLS {
        let most = archived(&ada).await + rng.u64(1..ENDED as u64 / KILLS);
        until_archived(&ada, most).await;
        fleet.kill(TIDY);
        fleet.restart(TIDY);
    }
    until_archived(&ada, ENDED as u64).await;

    for (id, before) in &heads {
        let audited = audit(&script, id);
        assert_eq!(audited["intact"], true, "{audited}");
        assert_eq!(audited["words"], before["words"], "{audited}");
        let all = archive::read(&ada.mesh, id, 0).await.unwrap();
        let decisions = before["decisions"].as_u64().unwrap();
        assert_eq!(all.len() as u64, decisions + 1, "one more: that it is archived");
        let subject = ada.mesh.subjects.of(&Subject::Log(id.clone()));
        assert_eq!(append::read_log(&ada.mesh, &subject, 0).await.unwrap().len(), 1, "{id}");
    }
    reads_as_it_did(&script, "wf-0");
    nothing_begins_anew(&ada).await;

    // What is archived can be taken back, and is archived anew then.
    let last: WorkflowId = format!("wf-{}", ENDED - 1).parse().unwrap();
    assert_eq!(ada.undo(&last).await, Vec::<String>::new());
    ada.until_ended(&last, Ending::Undone).await;
    shops.assert_nothing_is_left(ENDED - 1).await;
    let begun = Instant::now();
    while audit(&script, &last)["archive"] == "" {
        assert!(begun.elapsed() < PATIENCE, "never archived again");
        sleep(POLL).await;
    }
    assert_eq!(audit(&script, &last)["intact"], true);
}

/// Every command that reads a log reads an archive.
fn reads_as_it_did(script: &Script, id: &str) {
    for words in [
        &["show", id, "-o", "json"][..],
        &["why", id, "-o", "json"],
        &["trace", id, "-o", "json"],
        &["report", id, "-o", "json"],
        &["audit", id],
    ] {
        let (code, said) = script.run(words);
        assert_eq!(code, 0, "{words:?}: {said}");
    }
    let file = script.home.with_extension("log");
    let path = file.to_str().unwrap();
    let (code, said) = script.run(&["audit", id, "--export", path]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = script.run(&["audit", "--file", path]);
    assert!(code == 0 && said.contains("intact"), "{said}");
    let (code, said) = script.run(&["fork", id, "--from", "see", "-o", "json"]);
    assert_eq!(code, 0, "{said}");
    let (_, listed) = script.run(&["list", "-o", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let row = rows.iter().find(|row| row["workflow"] == id).unwrap();
    assert!(row["archived"] == true && row["state"] == "done", "{row}");
}

/// The same start once more is no news, and another plan under the same name is refused; so is a
/// report that comes again.
async fn nothing_begins_anew(ada: &Person) {
    let late: WorkflowId = "wf-2".parse().unwrap();
    let before = ada.story(&late).await.decisions.len();
    let report = pb::Inbound {
        id: "late".to_owned(),
        workflow_id: late.to_string(),
        reply_to: String::new(),
        message: Some(pb::inbound::Message::Report(
            ada.story(&late).await.report_again(&late, |_| true),
        )),
    };
    let from = "db".parse().unwrap();
    let subject = ada.mesh.subjects.of(&Subject::In { from, workflow: late.clone() });
    ada.publish(subject, report.encode_to_vec()).await;
    ada.until_inbox_is_empty().await;
    assert_eq!(ada.story(&late).await.decisions.len(), before);

    let id = ada.leave_a_start("wf-1", &comings_and_goings("shop1")).await;
    ada.until_inbox_is_empty().await;
    let plan = ada.check(&comings_and_goings("shop2")).await.unwrap();
    let problems = ada.submit(&id, plan.json(), plan.digest().as_str()).await;
    assert!(problems[0].contains("exists already"), "{problems:?}");
    let story = ada.story(&id).await;
    let starts = story.count(|event| matches!(event, Kind::Accepted(_)));
    let asked = story
        .count(|event| matches!(event, Kind::TaskRequested(e) if e.direction() == Direction::Do));
    assert_eq!((starts, asked), (1, 6), "{}", story.told());
}

fn audit(script: &Script, id: &WorkflowId) -> Value {
    let (code, said) = script.run(&["audit", id.as_str(), "-o", "json"]);
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&said).unwrap()
}

async fn archived(ada: &Person) -> u64 {
    Lists::of(&ada.mesh).count(Shelf::Archived).await.unwrap()
}

async fn until_archived(ada: &Person, wanted: u64) {
    let begun = Instant::now();
    loop {
        let found = archived(ada).await;
        if found >= wanted {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{found} of {wanted} are archived");
        sleep(POLL).await;
    }
}
