//! A server and credentials as `deadelus nats-config` makes them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use deadelus_mesh::{Mesh, config::NatsConfig, connect};
use deadelus_proto::Role;
use deadelus_tests::{fleet::Fleet, nats::NatsServer, process::command, programs::program};
use tempfile::TempDir;

use crate::shop::{Database, Engine};

/// The server writes its log within moments.
const LOGGED_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// What the server logs of everything it refuses.
pub(super) const VIOLATION: &str = "Violation";

/// A small shop's database, a locked server, and its fleet.
pub(super) struct Rig {
    pub(super) fleet: Fleet,
    pub(super) keys: TempDir,
    pub(super) database: Database,
    _home: TempDir,
}

impl Rig {
    /// With these specialists; `db` has the shop as its target.
    pub(super) fn with(specialists: &[&str]) -> Self {
        let home = TempDir::with_prefix("shop-").unwrap();
        let database = Database::make("", Engine::Sqlite, &home).unwrap();
        database.seed(500);
        let keys = TempDir::with_prefix("keys-").unwrap();
        make(keys.path(), &[]);
        let nats = server(keys.path());
        let shop = database.target("shop") + "lock_timeout_ms = 20000\n";
        let lines = |name: &str| if name == "db" { shop.clone() } else { String::new() };
        let all: Vec<(&str, String)> =
            specialists.iter().map(|name| (*name, lines(name))).collect();
        let all: Vec<(&str, &str)> =
            all.iter().map(|(name, lines)| (*name, lines.as_str())).collect();
        let fleet = Fleet::confined(nats, keys.path(), &all);
        Self { fleet, keys, database, _home: home }
    }

    /// Connects as whoever has stolen this role's credential.
    pub(super) async fn thief(&self, role: &Role) -> Mesh {
        connect(&self.config(role), "thief").await.unwrap()
    }

    pub(super) fn config(&self, role: &Role) -> NatsConfig {
        NatsConfig {
            url: self.fleet.nats.url.clone(),
            role: role.to_string(),
            nkey_file: Some(self.keys.path().join(format!("{role}.nk"))),
            ..NatsConfig::default()
        }
    }

    /// The command line with a person's credential.
    pub(super) fn types(&self, role: &Role, words: &[&str]) -> (i32, String) {
        let config = self.keys.path().join(format!("{role}.toml"));
        let output = command(&program("deadelus"))
            .arg("--home")
            .arg(self.fleet.home().join("cli"))
            .args(["--nats-url", &self.fleet.nats.url])
            .arg("--config")
            .arg(config)
            .args(words)
            .env("USER", "ada")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    /// Waits until the server has refused so much to whoever has this key.
    pub(super) async fn until_refused(&self, public_key: &str, times: usize) {
        let begun = Instant::now();
        let found = || self.refused().iter().filter(|line| line.contains(public_key)).count();
        while found() < times {
            let found = found();
            assert!(begun.elapsed() < LOGGED_MAX, "{found} of {times} were refused");
            tokio::time::sleep(POLL).await;
        }
    }

    /// By which the server's log names a role.
    pub(super) fn public_key(&self, role: &Role) -> String {
        let made = make(self.keys.path(), &["-o", "json"]);
        let made: serde_json::Value = serde_json::from_str(&made).unwrap();
        let roles = made["roles"].as_array().unwrap();
        let found = roles.iter().find(|one| one["role"] == role.to_string()).unwrap();
        found["public_key"].as_str().unwrap().to_owned()
    }

    /// What the server has refused so far.
    pub(super) fn refused(&self) -> Vec<String> {
        let log = self.fleet.nats.log();
        log.lines().filter(|line| line.contains(VIOLATION)).map(str::to_owned).collect()
    }
}

/// `deadelus nats-config`.
pub(super) fn make(folder: &Path, words: &[&str]) -> String {
    let made = command(&program("deadelus")).arg("nats-config").arg(folder).args(words).output();
    let made = made.unwrap();
    let said = String::from_utf8_lossy(&[made.stdout, made.stderr].concat()).into_owned();
    assert!(made.status.success(), "{said}");
    said
}

/// A server that was told so.
pub(super) fn server(keys: &Path) -> NatsServer {
    NatsServer::start_with(&["--config", keys.join("nats.conf").to_str().unwrap()])
}
