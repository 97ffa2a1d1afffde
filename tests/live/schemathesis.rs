//! [Schemathesis](https://schemathesis.io), which tries whatever a document says and whatever it does
//! not say.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// So that a finding is found again.
const SEED: &str = "1";

/// Of each operation and each way to try it.
const EXAMPLES_MAX: &str = "40";

/// The program, in a folder of its own that stays: the next run finds it there.
pub(crate) struct Schemathesis(PathBuf);

impl Schemathesis {
    /// None, and a word about it, where it cannot be had.
    pub(crate) fn installed() -> Option<Self> {
        let home = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/schemathesis-4.32.5"));
        let program = home.join("bin/st");
        let runs = |program: &Path, words: &[&str]| {
            Command::new(program).args(words).output().is_ok_and(|out| out.status.success())
        };
        if !runs(&program, &["--version"]) {
            let words = ["-m", "venv", "--clear", &home.display().to_string()];
            let packages = ["-m", "pip", "install", "--quiet", "schemathesis==4.32.5"];
            let made =
                runs(Path::new("python3"), &words) && runs(&home.join("bin/python3"), &packages);
            if !made {
                eprintln!("SKIPPED: Schemathesis cannot be installed (python3 -m venv, pip)");
                return None;
            }
        }
        Some(Self(program))
    }

    /// The operations of the document, as somebody who may all of it; `more` are words of its own.
    pub(crate) fn tries(&self, base: &str, document: &Path, token: &str, more: &[&str]) -> Output {
        let header = format!("Authorization: Bearer {token}");
        let words = ["--url", base, "--header", &header, "--seed", SEED, "--no-color"];
        Command::new(&self.0)
            .arg("run")
            .arg(document)
            .args(words)
            .args(["--max-examples", EXAMPLES_MAX])
            .args(more)
            .current_dir(document.parent().unwrap())
            .output()
            .unwrap()
    }
}
