//! A disk that is full: nothing new is let in, with the reason, and nothing is half-written. With room
//! again everything goes on.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use deadelus_core::plan::CheckedPlan;
use deadelus_proto::{Subject, pb::Ending};
use deadelus_tests::{fleet::Fleet, nats::NatsServer};
use tempfile::TempDir;

use crate::{
    cli::Script,
    kill::{Shops, assert_each_task_is_done_once},
    person::{PATIENCE, Person},
    plans::{ONE_INDEX, comings_and_goings},
    quiet,
};

/// Room for some hundred workflows of these tests.
const DISK_MIB: usize = 48;
/// Workflows on their way when the disk becomes full.
const OPEN: usize = 4;
/// A server that cannot write either says so or says nothing.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(200);
/// The exit code of a command that reached nobody who could take it.
const UNREACHABLE: i32 = 9;

#[tokio::test]
async fn a_full_disk_lets_nothing_in_and_leaves_nothing_half_written() {
    let _others = quiet::among_others().await;
    let Some(disk) = Disk::mount() else {
        eprintln!("SKIPPED: a full disk needs the right to mount one");
        return;
    };
    let shops = Shops::make(OPEN + 2).await;
    let mut fleet = Fleet::on(disk.server(), &[("db", &shops.targets())]);
    let ada = Person::at(&fleet).await;
    let plan = |place: usize| comings_and_goings(&format!("shop{place}"));
    let before = ada.start("wf-before", &plan(OPEN)).await;
    let told = ada.until_ended(&before, Ending::Done).await;

    let mut open = vec![];
    for place in 0..OPEN {
        open.push((place, ada.start(&format!("wf-{place}"), &plan(place)).await));
    }
    disk.fill();
    let refused = ada.until_refused(&ada.check(&plan(OPEN + 1)).await.unwrap()).await;
    eprintln!("a full disk: {refused}");
    assert_a_person_hears_of_it(&fleet);

    disk.empty();
    // A server that could not write has given its streams up; starting it again is what its log says.
    fleet.nats.restart();
    let ada = Person::at(&fleet).await;
    let after = ada.leave_a_start("wf-after", &plan(OPEN + 1)).await;
    open.push((OPEN + 1, after));
    for (place, id) in open {
        let story = ada.until_ended(&id, Ending::Done).await;
        assert_each_task_is_done_once(&story, "a full disk");
        shops.assert_only_the_wanted_is_left(place, "a full disk").await;
    }
    assert_eq!(ada.story(&before).await.decisions, told.decisions, "what was written stays");
}

/// What the command line says to somebody who starts a workflow now.
fn assert_a_person_hears_of_it(fleet: &Fleet) {
    let file = fleet.home().join("plan.yaml");
    fs::write(&file, ONE_INDEX.replace("target: shop", "target: shop5")).unwrap();
    let script = Script { home: fleet.home().join("cli"), url: fleet.nats.url.clone() };
    let (code, said) = script.run(&["run", "--file", file.to_str().unwrap(), "--yes"]);
    assert_eq!(code, UNREACHABLE, "{said}");
    assert!(said.contains("did not store it") && said.contains("disk is full"), "{said}");
}

impl Person {
    /// Starts workflows until one is not taken: why.
    async fn until_refused(&self, plan: &CheckedPlan) -> String {
        let begun = Instant::now();
        loop {
            let subject = Subject::In {
                from: "client".parse().unwrap(),
                workflow: "wf-refused".parse().unwrap(),
            };
            // Any bytes will do: what is not stored is not read, what is stored is buried.
            let subject = self.mesh.subjects.of(&subject);
            let bytes = plan.json().as_bytes().to_vec();
            let sent = async { self.mesh.jetstream.publish(subject, bytes.into()).await?.await };
            match tokio::time::timeout(ANSWER_MAX, sent).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    return format!("{error}: {:?}", std::error::Error::source(&error));
                }
                Err(_) => return "no answer".to_owned(),
            }
            assert!(begun.elapsed() < PATIENCE, "a full disk takes everything");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// A small file system of its own. It is gone when this is dropped.
struct Disk {
    home: TempDir,
}

impl Disk {
    /// None where that is not allowed.
    fn mount() -> Option<Self> {
        let home = TempDir::with_prefix("disk-").unwrap();
        let size = format!("size={DISK_MIB}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(home.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self { home })
    }

    /// A server that keeps its streams here and believes that there is room without end.
    fn server(&self) -> NatsServer {
        let config = self.path().join("server.conf");
        fs::write(&config, "jetstream { max_file_store: 100GB }").unwrap();
        let store = self.path().join("store");
        let arguments =
            ["--config", config.to_str().unwrap(), "--store_dir", store.to_str().unwrap()];
        NatsServer::start_with(&arguments)
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let page = [0; 4_096];
        while ballast.write_all(&page).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open here is about to end.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}
