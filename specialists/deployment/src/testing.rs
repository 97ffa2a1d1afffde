//! A real little service that follows a revision file, for the tests of this crate.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{revision_file::revision, target::Targets};

/// What the little service does when its file asks for a revision:
/// * `v1`, `v2`: serves it;
/// * `sick`: serves it and is not well;
/// * `lazy`: never gets round to it, and says nothing of it;
/// * anything else: stays on what it serves, and says why.
#[derive(Debug)]
struct Following {
    file: PathBuf,
    serving: std::sync::Mutex<String>,
    asked: AtomicU32,
}

/// The service with its file, in a folder of its own.
#[derive(Debug)]
pub(crate) struct Service {
    folder: TempDir,
    address: std::net::SocketAddr,
    following: Arc<Following>,
    running: JoinHandle<()>,
}

/// How v1's file looks before anything happens: not as this crate would write it.
pub(crate) const TEXT_BEFORE: &str = "{ \"revision\": \"v1\", \"by\": \"ops\" }";

impl Service {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("revision.json");
        fs::write(&file, TEXT_BEFORE).unwrap();
        let serving = "v1".to_owned().into();
        let following = Arc::new(Following { file, serving, asked: AtomicU32::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/healthz", get(health)).with_state(following.clone());
        let running = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { folder, address, following, running }
    }

    /// Patient: a test that waits for the end of a switch says how long itself.
    pub(crate) fn targets(&self) -> Targets {
        self.targets_within(20_000)
    }

    pub(crate) fn targets_within(&self, switch_timeout_ms: u64) -> Targets {
        self.configured(&self.following.file, switch_timeout_ms)
    }

    /// With a file that is not there, and that the service knows nothing of.
    pub(crate) fn elsewhere(&self) -> Targets {
        self.configured(&self.folder.path().join("another.json"), 20_000)
    }

    fn configured(&self, file: &Path, switch_timeout_ms: u64) -> Targets {
        let config = serde_json::from_value(json!({
            "revision_file": file,
            "health_url": format!("http://{}/healthz", self.address),
            "revisions": {"v1": {}, "v2": {"fixes": ["n_plus_one"]}, "sick": {}, "lazy": {}, "v9": {}},
            "probe_interval_ms": 10,
            "probe_timeout_ms": 5_000,
            "switch_timeout_ms": switch_timeout_ms,
        }));
        crate::target::checked([("shop".parse().unwrap(), config.unwrap())].into()).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.following.file).unwrap()
    }

    pub(crate) fn write(&self, text: &str) {
        fs::write(&self.following.file, text).unwrap();
    }

    pub(crate) fn remove_file(&self) {
        fs::remove_file(&self.following.file).unwrap();
    }

    pub(crate) fn remove_folder(&self) {
        fs::remove_dir_all(self.folder.path()).unwrap();
    }

    pub(crate) fn serving(&self) -> String {
        self.following.serving.lock().unwrap().clone()
    }

    pub(crate) fn asked(&self) -> u32 {
        self.following.asked.load(Ordering::SeqCst)
    }

    /// Ends the process, as far as whoever asks can see.
    pub(crate) async fn stop(&mut self) {
        self.running.abort();
        let _ = (&mut self.running).await;
    }
}

async fn health(State(following): State<Arc<Following>>) -> (StatusCode, Json<Value>) {
    following.asked.fetch_add(1, Ordering::SeqCst);
    let wanted = fs::read_to_string(&following.file).ok().as_deref().and_then(revision);
    let mut serving = following.serving.lock().unwrap();
    match wanted.as_deref() {
        Some("v1" | "v2" | "sick") => *serving = wanted.unwrap(),
        Some("lazy") => {}
        Some(_) | None => {
            let error = "unknown revision";
            let body =
                json!({"status": "ok", "revision": *serving, "wanted": wanted, "error": error});
            return (StatusCode::OK, Json(body));
        }
    }
    if *serving == "sick" {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "down"})));
    }
    (StatusCode::OK, Json(json!({"status": "ok", "revision": *serving})))
}

/// Waits for a fact that another task brings about.
///
/// # Panics
/// When it has not come about after many times the time it takes.
pub(crate) async fn until(fact: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if fact() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("what was waited for did not come about");
}

/// The same outside any runtime.
///
/// # Panics
/// When it has not come about after many times the time it takes.
pub(crate) fn until_now(fact: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if fact() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("what was waited for did not come about");
}
