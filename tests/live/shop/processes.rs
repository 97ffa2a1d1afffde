//! The shop as processes behind a proxy: each revision is a process of its own, with a
//! configuration of its own, on one database.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use deadelus_tests::{
    process::{Process, command},
    programs::program,
};
use serde_json::Value;
use tempfile::TempDir;

use super::{Database, Engine, Shop};

/// What may be released, with the schema that it takes.
const REVISIONS: [(&str, &str); 2] = [("v2", ""), ("v4", "schema_range = [20261122, 20261122]\n")];

/// Processes that outlive whoever started them, until this is dropped.
#[derive(Debug)]
pub(super) struct Held(PathBuf);

impl Drop for Held {
    fn drop(&mut self) {
        for note in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let note = fs::read(note.path()).unwrap_or_default();
            let note: Value = serde_json::from_slice(&note).unwrap_or_default();
            if let Some(leader) = note["leader"]["pid"].as_i64().filter(|_| note["ended"].is_null())
            {
                // It leads a group of what it started, which is named by a minus.
                let group = format!("-{leader}");
                let _ = command(Path::new("kill")).args(["-KILL", "--", &group]).status();
            }
        }
    }
}

impl Shop {
    /// A proxy with nobody behind it, and everything that a release needs to change that.
    pub(crate) fn behind_proxy(test: &str, engine: Engine, settings: &str) -> Option<Self> {
        const LINES: u64 = 500;
        let home = TempDir::with_prefix("shop-").unwrap();
        let database = Database::make(test, engine, &home)?;
        database.seed(LINES);
        let file = |name: &str| home.path().join(name);
        let arguments = ["--listen", "127.0.0.1:0", "--control"].map(OsStr::new);
        let (control, state) = (file("control"), file("routes"));
        let arguments =
            [&arguments[..], &[control.as_os_str(), OsStr::new("--state"), state.as_os_str()]];
        let log = file("proxy.log");
        let mut process = Process::start(&program("deadelus-proxy"), &arguments.concat(), &log);
        process.until_it_says("listening on http://127.0.0.1:");
        let port: u16 = process.said().rsplit(':').next().unwrap().trim().parse().unwrap();
        let folder = file("processes");
        let mut deployment = format!(
            "[targets.shop]\nprobe_interval_ms = 20\nswitch_timeout_ms = 40000\n\
             [targets.shop.processes]\nfolder = {folder:?}\nurl = \"http://127.0.0.1:{port}\"\n\
             witness_path = \"/checkout/1\"\nproxy = {{ kind = \"own\", control = {control:?} }}\n"
        );
        for (revision, schema) in REVISIONS {
            let (config, wanted) = (file(revision), format!("{revision}.json"));
            fs::write(file(&wanted), format!("{{\"revision\":\"{revision}\"}}")).unwrap();
            let url = database.url();
            let text = format!("database = {url:?}\nrevision_file = {wanted:?}\n{settings}");
            let config = config.with_extension("toml");
            fs::write(&config, text).unwrap();
            let shop = program("deadelus-shop");
            let words = ["serve", "--listen", "{address}", "--config"].map(|w| format!("{w:?}"));
            let _ = writeln!(
                deployment,
                "[targets.shop.revisions.{revision}]\n{schema}\
                 command = [{shop:?}, {}, {config:?}]",
                words.join(", ")
            );
        }
        let held = Some(Held(folder));
        let orders = LINES / 5;
        Some(Self { port, database, orders, deployment, _held: held, home, _process: process })
    }
}
