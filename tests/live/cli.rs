//! The same through the command line, as a script uses it: exit codes and JSON.

use std::{collections::BTreeSet, fs, io::Write, path::PathBuf, process::Stdio};

use deadelus_proto::WorkflowId;
use deadelus_tests::{fleet::Fleet, process::command, programs::program};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    plans::ONE_INDEX,
    quiet,
    shop::{Database, Engine},
};

#[tokio::test]
async fn a_script_runs_a_plan_reads_the_report_and_takes_it_back() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(500);
    let before = database.schema().await;
    let fleet = Fleet::of(&[("db", &database.target("shop"))]);
    let script = Script { home: home.path().join("cli"), url: fleet.nats.url.clone() };
    let plan = home.path().join("plan.yaml");
    fs::write(&plan, ONE_INDEX.replace("approval: none", "approval: required")).unwrap();
    let file = plan.to_str().unwrap();

    let (code, said) = script.run(&["run", "--file", file, "--yes", "-o", "json"]);
    assert_eq!(code, 0, "{said}");
    let documents: Result<Vec<Value>, _> =
        serde_json::Deserializer::from_str(&said).into_iter().collect();
    let documents = documents.unwrap_or_else(|e| panic!("{e}: {said}"));
    let [begun, .., ended] = &documents[..] else { panic!("{said}") };
    let id = begun["workflow"].as_str().unwrap();
    assert_eq!(ended["status"], "done", "{said}");
    assert_ne!(database.schema().await, before);

    let (code, listed) = script.run(&["list", "-o", "ids"]);
    assert_eq!((code, listed.trim()), (0, id));
    for words in [&["report", id, "-o", "json"], &["show", id, "-o", "json"]] {
        let (code, said) = script.run(words);
        let json: Result<Value, _> = serde_json::from_str(&said);
        assert!(code == 0 && json.is_ok(), "{words:?}: {code} {said}");
    }
    let (code, said) = script.run(&["undo", id, "-o", "json"]);
    assert!(code == 0 || code == 3, "{code} {said}");
    let (code, said) = script.run(&["watch", id, "-o", "json"]);
    assert_eq!(code, 3, "undone: {said}");
    assert_eq!(database.schema().await, before);
}

#[tokio::test]
async fn what_goes_wrong_has_a_code_and_says_what_to_do() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(100);
    let fleet = Fleet::of(&[("db", &database.target("shop"))]);
    let script = Script { home: home.path().join("cli"), url: fleet.nats.url.clone() };
    let plan = home.path().join("plan.yaml");
    fs::write(&plan, ONE_INDEX.replace("db.inspect", "db.inspekt")).unwrap();
    let file = plan.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 4] = [
        (&["run", "--file", file, "--yes"], 7, "db.inspekt"),
        (&["plan", "write me a poem", "--target", "shop"], 7, "blueprint"),
        (&["show", "wf-nobody"], 8, "wf-nobody"),
        (&["run"], 2, "--target"),
    ];
    for (words, code, part) in cases {
        let (was, said) = script.run(words);
        assert!(was == code && said.contains(part), "{words:?}: {was} instead of {code}: {said}");
    }
    let (code, said) = script.run(&["undo", "wf-nobody"]);
    assert!(code == 8 && said.contains("wf-nobody"), "{code} {said}");
    let nobody = Script { url: "nats://127.0.0.1:1".to_owned(), ..script };
    let (code, said) = nobody.run(&["list"]);
    assert!(code == 9 && said.contains("127.0.0.1:1"), "{code} {said}");
}

/// Somebody's shell.
pub(crate) struct Script {
    pub(crate) home: PathBuf,
    pub(crate) url: String,
}

impl Script {
    /// The exit code, and what was printed on either output.
    pub(crate) fn run(&self, words: &[&str]) -> (i32, String) {
        self.run_with(words, "")
    }

    /// The same with something on standard input.
    pub(crate) fn run_with(&self, words: &[&str], input: &str) -> (i32, String) {
        let mut child = command(&program("deadelus"))
            .arg("--home")
            .arg(&self.home)
            .args(["--nats-url", &self.url])
            .args(words)
            .env("USER", "ada")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that reads nothing may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }
}

/// What a person forwards.
pub(crate) fn report(fleet: &Fleet, id: &WorkflowId) -> Value {
    let home = TempDir::with_prefix("ada-").unwrap();
    let script = Script { home: home.path().to_owned(), url: fleet.nats.url.clone() };
    let (code, said) = script.run(&["report", id.as_str(), "-o", "json"]);
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
}

/// Every verdict of a report that some criterion of the plan got.
pub(crate) fn verdicts(report: &Value) -> Vec<&str> {
    let criteria = report["criteria"].as_array().unwrap();
    let verdicts: BTreeSet<_> = criteria.iter().filter_map(|c| c["verdict"].as_str()).collect();
    verdicts.into_iter().collect()
}
