use std::{collections::BTreeMap, fs, path::Path};

use deadelus_tests::killed;
use serde_json::{Value, json};

use super::{repoint::Repoint, *};
use crate::testing::Desk;

/// Every file of a folder and what is in it; folders end in a slash.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            if path.is_dir() {
                found.insert(format!("{name}/"), vec![]);
                open.push(path);
            } else {
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn inputs(version: &str) -> Inputs {
    let document = json!({"openapi": "3.0.3", "info": {"version": version}, "paths": {}});
    serde_json::from_value(json!({"document": {"inline": document}})).unwrap()
}

/// The target, its capabilities and its registry.
struct Lab {
    desk: Desk,
    cx: Context,
}

impl Lab {
    fn new() -> Self {
        Self { desk: Desk::new(), cx: Context::detached("shop") }
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.desk.path(""))
    }

    async fn publish(&self, version: &str) -> (Prepared<Before>, Measured<Outputs>) {
        let (publish, inputs) = (Publish(self.desk.targets()), inputs(version));
        let prepared = publish.prepare(&self.cx, &inputs).await.unwrap();
        let measured = publish.perform(&self.cx, &inputs, &prepared.before).await.unwrap();
        assert!(measured.checks.iter().all(|check| check.pass), "{:?}", measured.checks);
        (prepared, measured)
    }

    /// Runs what an undo record says.
    async fn undo(&self, prepared: &Prepared<Before>) -> Result<(), Failure> {
        let undo = prepared.undo.clone().unwrap();
        assert_eq!(undo.capability.to_string(), "api.repoint");
        self.repoint(undo.inputs).await
    }

    async fn repoint(&self, inputs: Value) -> Result<(), Failure> {
        let repoint = Repoint(self.desk.targets());
        let inputs = serde_json::from_value(inputs).unwrap();
        let prepared = repoint.prepare(&self.cx, &inputs).await?;
        let measured = repoint.perform(&self.cx, &inputs, &prepared.before).await?;
        assert!(measured.checks.iter().all(|check| check.pass), "{:?}", measured.checks);
        match repoint.reconcile(&self.cx, &inputs, &prepared.before).await? {
            Found::Done(_) => Ok(()),
            Found::NotBegun | Found::Partly => panic!("done, and not found done"),
        }
    }
}

#[tokio::test]
async fn an_undo_brings_back_every_byte_however_often_it_runs() {
    let lab = Lab::new();
    let empty = lab.files();
    let (first, one) = lab.publish("1").await;
    assert_eq!(one.outputs.fingerprint_before, "nothing");
    let published = lab.files();
    let (second, two) = lab.publish("2").await;
    assert_eq!(two.outputs.previous.as_ref(), Some(&one.outputs.document));
    assert_eq!(two.outputs.fingerprint_before, one.outputs.fingerprint);
    for _ in 0..2 {
        lab.undo(&second).await.unwrap();
        assert_eq!(lab.files(), published);
    }
    for _ in 0..2 {
        lab.undo(&first).await.unwrap();
        assert_eq!(lab.files(), empty);
    }
}

#[tokio::test]
async fn a_repetition_changes_nothing_and_knows_that_it_is_done() {
    let lab = Lab::new();
    let (prepared, _) = lab.publish("1").await;
    let after = lab.files();
    let publish = Publish(lab.desk.targets());
    let found = publish.reconcile(&lab.cx, &inputs("1"), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Done(_)));
    publish.perform(&lab.cx, &inputs("1"), &prepared.before).await.unwrap();
    // A second task that publishes the same takes nothing away when it is undone.
    let (again, _) = lab.publish("1").await;
    lab.undo(&again).await.unwrap();
    assert_eq!(lab.files(), after);
}

#[tokio::test]
async fn a_crash_between_the_steps_is_found_and_finished_or_taken_back() {
    let lab = Lab::new();
    lab.publish("1").await;
    let before = lab.files();
    let (publish, inputs) = (Publish(lab.desk.targets()), inputs("2"));
    let prepared = publish.prepare(&lab.cx, &inputs).await.unwrap();
    let found = publish.reconcile(&lab.cx, &inputs, &prepared.before).await.unwrap();
    assert!(matches!(found, Found::NotBegun));
    // The document is there and nothing points to it yet.
    let registry = Registry::of(&lab.desk.path(""));
    let text = text(&lab.cx, &lab.desk.path(""), &inputs).await.unwrap();
    registry.keep(&digest(text.as_bytes()), text.as_bytes()).unwrap();
    let found = publish.reconcile(&lab.cx, &inputs, &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Partly));
    lab.undo(&prepared).await.unwrap();
    assert_eq!(lab.files(), before);
    publish.perform(&lab.cx, &inputs, &prepared.before).await.unwrap();
    let found = publish.reconcile(&lab.cx, &inputs, &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Done(_)));
}

#[tokio::test]
async fn what_a_third_party_published_stays() {
    let lab = Lab::new();
    let publish = Publish(lab.desk.targets());
    let prepared = publish.prepare(&lab.cx, &inputs("1")).await.unwrap();
    lab.publish("other").await;
    let theirs = lab.files();
    let failure = publish.perform(&lab.cx, &inputs("1"), &prepared.before).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
    assert_eq!(lab.undo(&prepared).await.unwrap_err().class, ErrorClass::PreconditionFailed);
    assert_eq!(lab.files(), theirs);
}

#[tokio::test]
async fn what_fails_leaves_the_old_pointer_in_force() {
    let lab = Lab::new();
    let (_, one) = lab.publish("1").await;
    let pointer = fs::read(lab.desk.path("published/public.json")).unwrap();
    let documents = lab.desk.path("published/documents");
    fs::rename(&documents, lab.desk.path("away")).unwrap();
    fs::write(&documents, "in the way").unwrap();
    let publish = Publish(lab.desk.targets());
    let before = Before { previous: Some(one.outputs.document.clone()) };
    let failure = publish.perform(&lab.cx, &inputs("2"), &before).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable);
    assert!(failure.message.contains("documents"), "{failure}");
    assert_eq!(fs::read(lab.desk.path("published/public.json")).unwrap(), pointer);
}

#[tokio::test]
async fn bad_input_says_what_and_touches_nothing() {
    let lab = Lab::new();
    let publish = Publish(lab.desk.targets());
    for channel in ["", "../x", "Public", "a/b"] {
        let inputs = Inputs { channel: channel.to_owned(), ..inputs("1") };
        let failure = publish.prepare(&lab.cx, &inputs).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidInput, "{channel}");
    }
    for (document, class) in [
        ("../../etc/passwd".to_owned(), ErrorClass::InvalidInput),
        ("0".repeat(64), ErrorClass::PreconditionFailed),
    ] {
        let failure = lab.repoint(json!({ "document": document })).await.unwrap_err();
        assert_eq!(failure.class, class);
    }
    assert!(lab.files().is_empty());
    fs::create_dir(lab.desk.path("published")).unwrap();
    lab.desk.write("published/public.json", "somebody's notes");
    let failure = publish.prepare(&lab.cx, &inputs("1")).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
}

/// Kills are spread over this many publications.
const KILLS: usize = 10;

#[tokio::test]
async fn a_process_that_is_killed_leaves_a_whole_document_behind_every_pointer() {
    let lab = Lab::new();
    let (_, one) = lab.publish("1").await;
    let (_, two) = lab.publish("2").await;
    let whole = [one.outputs.document, two.outputs.document];
    for kill in 0..KILLS {
        killed::after(kill + 1, "publish::tests::publishes_for_ever", lab.desk.root());
        let registry = Registry::of(&lab.desk.path(""));
        let now = registry.pointer("public").unwrap().unwrap();
        assert!(whole.contains(&now) && registry.holds(&now).unwrap());
    }
    // And the next one finds nothing in its way.
    lab.publish("3").await;
}

#[tokio::test]
#[ignore = "a program for the test above, which kills it"]
async fn publishes_for_ever() {
    let folder = killed::folder();
    let registry = Registry::of(&folder);
    let cx = Context::detached("shop");
    let mut texts = vec![];
    for version in ["1", "2"] {
        texts.push(text(&cx, &folder, &inputs(version)).await.unwrap());
    }
    for text in texts.iter().cycle() {
        let sha256 = digest(text.as_bytes());
        registry.keep(&sha256, text.as_bytes()).unwrap();
        registry.point("public", Some(&sha256)).unwrap();
        killed::done();
    }
}
