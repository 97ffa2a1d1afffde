//! What an operator configures about a system under test. Everything that is run, read or asked is
//! named here; a task can only choose among it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use deadelus_runtime::{ErrorClass, Failure, Secret, Source, TargetName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client::Address;

/// What stands in a suite's arguments where its command is to write its `JUnit` report.
pub(crate) const REPORT: &str = "{report}";

/// A suite that takes longer is several; the orchestrator gives a task up a little later.
const TIMEOUT_MAX_S: u64 = 3_500;

/// A system under test. Unknown keys are errors.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TestingTarget {
    /// Test suites, by the name that tasks use: `unit`.
    pub suites: BTreeMap<String, Suite>,
    /// The folder of documents and collections that tasks may name. Absolute.
    pub documents: Option<PathBuf>,
    /// The live service, for `testing.contract`: the one address that is ever asked.
    pub service: Option<Service>,
}

/// A live service under test.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// `http://host:port`, perhaps with a path.
    pub base_url: String,
    /// Sent as `Authorization: Bearer …` where a request has no token of its own: a text, or
    /// `{ file = "/run/secrets/tester" }`.
    #[serde(default)]
    pub token: Secret,
    /// Whether requests that may change something are sent. What they make stays there: only for a
    /// service, and its data, that exist for tests.
    #[serde(default)]
    pub may_write: bool,
}

/// A test suite and how it is run. It is run as it stands, in its folder, by this process's user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Where it is run. Absolute.
    pub folder: PathBuf,
    /// What runs it.
    pub runner: Runner,
    /// The program: a must for `command`; of the other runners it replaces `cargo` or `python3`.
    #[serde(default)]
    pub program: Option<PathBuf>,
    /// Given to the runner. Of `command` one of them must hold `{report}`: where it writes `JUnit`.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Variables of this process's environment that it may see, besides a few that every program
    /// needs (`PATH`, `HOME`, the language, where Rust is).
    #[serde(default)]
    pub environment: Vec<String>,
    /// After so many seconds it is killed; 1 to 3,500.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
}

/// What runs a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Runner {
    /// `cargo test`, documentation tests too.
    Cargo,
    /// `cargo nextest run`; no documentation tests.
    Nextest,
    /// `python3 -m pytest`.
    Pytest,
    /// Any program that writes a `JUnit` report.
    Command,
}

/// A build and its tests.
fn default_timeout_s() -> u64 {
    900
}

impl Suite {
    /// After how long it is killed.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        absolute(&self.folder).map_err(|problem| ("folder", problem))?;
        if !(1..=TIMEOUT_MAX_S).contains(&self.timeout_s) {
            let problem = format!("{} is not between 1 and {TIMEOUT_MAX_S}", self.timeout_s);
            return Err(("timeout_s", problem));
        }
        if self.runner == Runner::Command {
            if self.program.is_none() {
                return Err(("program", "the runner `command` needs one".to_owned()));
            }
            if !self.arguments.iter().any(|argument| argument.contains(REPORT)) {
                let problem = format!("none holds {REPORT}: where its JUnit report is written");
                return Err(("arguments", problem));
            }
        }
        Ok(())
    }
}

fn absolute(path: &Path) -> Result<(), String> {
    if path.is_absolute() {
        return Ok(());
    }
    Err(format!("{} is not absolute", path.display()))
}

/// Why a target cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("targets.{target}.{setting}: {problem}")]
pub struct InvalidTarget {
    /// Which target.
    pub target: TargetName,
    /// Which of its settings.
    pub setting: String,
    /// What is wrong with it.
    pub problem: String,
}

/// All systems of this process, shared by its capabilities.
pub(crate) type Targets = deadelus_runtime::Targets<TestingTarget>;

/// # Errors
/// When a configuration cannot be honoured.
pub(crate) fn checked(
    targets: BTreeMap<TargetName, TestingTarget>,
) -> Result<Targets, InvalidTarget> {
    for (target, config) in &targets {
        let invalid = |setting: &str, problem| InvalidTarget {
            target: target.clone(),
            setting: setting.to_owned(),
            problem,
        };
        if let Some(folder) = &config.documents {
            absolute(folder).map_err(|problem| invalid("documents", problem))?;
        }
        if let Some(service) = &config.service {
            Address::parse(&service.base_url)
                .map_err(|problem| invalid("service.base_url", problem))?;
            if service.token.expose().bytes().any(|byte| !byte.is_ascii_graphic()) {
                return Err(invalid(
                    "service.token",
                    "no token has blanks or ends of lines".to_owned(),
                ));
            }
        }
        for (name, suite) in &config.suites {
            suite.check().map_err(|(setting, problem)| {
                invalid(&format!("suites.{name}.{setting}"), problem)
            })?;
        }
    }
    Ok(Targets::new(targets))
}

impl TestingTarget {
    /// What plans may know of it.
    pub(crate) fn facts(&self) -> BTreeMap<String, String> {
        let suites: Vec<&str> = self.suites.keys().map(String::as_str).collect();
        [("suites".to_owned(), suites.join(" "))].into()
    }

    /// Where a document or a collection is read from; what is no file needs no folder.
    pub(crate) fn folder_of(&self, source: &Source) -> Result<&Path, Failure> {
        match (&self.documents, source) {
            (Some(folder), _) => Ok(folder),
            (None, Source::Stored(_) | Source::Inline(_)) => Ok(Path::new("")),
            (None, Source::File(_)) => {
                let text = "this target has no folder of documents";
                Err(Failure::new(ErrorClass::Denied, text)
                    .help("name it as `documents`, in the testing specialist's file"))
            }
        }
    }

    /// The live service, and whether it may be written to.
    pub(crate) fn service(&self) -> Result<(Address, bool), Failure> {
        let denied = |text: String| {
            Failure::new(ErrorClass::Denied, text)
                .help("name it as `service.base_url`, in the testing specialist's file")
        };
        let service = self.service.as_ref();
        let service = service.ok_or_else(|| denied("this target has no service".to_owned()))?;
        let address = Address::parse(&service.base_url).map_err(denied)?;
        Ok((address.with_token(&service.token), service.may_write))
    }

    /// The suite of a name.
    pub(crate) fn suite(&self, name: &str) -> Result<&Suite, Failure> {
        self.suites.get(name).ok_or_else(|| {
            let known: Vec<&String> = self.suites.keys().collect();
            let text = format!("suite: {name:?} is not configured; there is {known:?}");
            Failure::new(ErrorClass::Denied, text)
                .help("an operator names what may be run, in the testing specialist's file")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn suite(config: Value) -> Result<Targets, InvalidTarget> {
        let suites = BTreeMap::from([("unit".to_owned(), serde_json::from_value(config).unwrap())]);
        let target = TestingTarget { suites, ..TestingTarget::default() };
        checked([("shop".parse().unwrap(), target)].into())
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert!(suite(json!({"folder": "/srv", "runner": "cargo"})).is_ok());
        for (setting, config) in [
            ("folder", json!({"folder": "srv", "runner": "cargo"})),
            ("timeout_s", json!({"folder": "/srv", "runner": "nextest", "timeout_s": 0})),
            ("program", json!({"folder": "/srv", "runner": "command"})),
            ("arguments", json!({"folder": "/srv", "runner": "command", "program": "node"})),
        ] {
            let error = suite(config).unwrap_err();
            assert_eq!(error.setting, format!("suites.unit.{setting}"));
        }
        let misspelt = json!({"suites": {"unit": {"folder": "/", "runner": "cargo", "args": []}}});
        assert!(serde_json::from_value::<TestingTarget>(misspelt).is_err());
    }

    #[test]
    fn without_a_folder_of_documents_no_file_is_named() {
        let file: Source = serde_json::from_value(json!({"file": "a.yaml"})).unwrap();
        let inline: Source = serde_json::from_value(json!({"inline": {}})).unwrap();
        let (none, some) = (
            TestingTarget::default(),
            TestingTarget { documents: Some("/docs".into()), ..TestingTarget::default() },
        );
        assert_eq!(none.folder_of(&file).unwrap_err().class, ErrorClass::Denied);
        assert!(none.folder_of(&inline).is_ok());
        assert_eq!(some.folder_of(&file).unwrap(), Path::new("/docs"));
    }
}
