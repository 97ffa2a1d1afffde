//! A proxy, processes and customers on ports and in a folder of their own, for the tests.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use deadelus_proxy::{Router, Routes, control};
use deadelus_runtime::Context;
use deadelus_tests::{process::Process, programs::program};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    health::Prober,
    processes::Supervisor,
    routing::{Proxy, table::sorted},
    target::{Targets, Way},
    testing::until,
};

/// What the tests can release: each is the same program, unwell in its own way.
const WAYS: [(&str, &[&str]); 7] = [
    ("v1", &[]),
    ("v2", &[]),
    ("stubborn", &["--stubborn"]),
    ("sick", &["--sick"]),
    ("frail", &["--crash-after", "30"]),
    ("slow", &["--delay-ms", "60"]),
    ("faulty", &["--error-every", "20"]),
];

/// Customers come one every so often, whether the last one was served or not.
const CUSTOMER_EVERY: Duration = Duration::from_millis(3);

/// The whole bed; processes that a test leaves are killed with it.
pub(crate) struct Bed {
    pub(crate) folder: TempDir,
    pub(crate) targets: Targets,
    url: String,
    proxy: Value,
    _haproxy: Option<Process>,
}

impl Bed {
    pub(crate) async fn start(replicas: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control");
        let router = Arc::new(Router::open(Some(folder.path().join("routes"))).unwrap());
        tokio::spawn(control::serve(control::bind(&socket).unwrap(), router.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(deadelus_proxy::serve(listener, router, std::future::pending()));
        let proxy = json!({"kind": "own", "control": socket});
        let targets = configured(&folder, &url, &proxy, replicas, 30_000);
        Self { folder, targets, url, proxy, _haproxy: None }
    }

    /// With HAProxy; none where it is not installed.
    pub(crate) async fn with_haproxy() -> Option<Self> {
        Self::with_haproxy_backend("shop").await
    }

    pub(crate) async fn with_haproxy_backend(backend: &str) -> Option<Self> {
        let program = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"]
            .map(Path::new)
            .into_iter()
            .find(|path| path.exists())?;
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let (socket, config) = (folder.path().join("socket"), folder.path().join("haproxy.cfg"));
        std::fs::write(&config, haproxy_config(&socket, address)).unwrap();
        let arguments = [OsStr::new("-db"), OsStr::new("-f"), config.as_os_str()];
        let haproxy = Process::start(program, &arguments, &folder.path().join("haproxy.log"));
        until(|| std::os::unix::net::UnixStream::connect(&socket).is_ok()).await;
        let proxy = json!({"kind": "haproxy", "socket": socket, "backend": backend});
        let url = format!("http://{address}");
        let targets = configured(&folder, &url, &proxy, 1, 30_000);
        Some(Self { folder, targets, url, proxy, _haproxy: Some(haproxy) })
    }

    /// What another process needs to work on the same target.
    pub(crate) fn described(&self) -> String {
        config(&self.folder, &self.url, &self.proxy, 1, 30_000).to_string()
    }

    /// The same target, less patient.
    pub(crate) fn hasty(&self) -> Targets {
        configured(&self.folder, &self.url, &self.proxy, 1, 1_000)
    }

    pub(crate) fn proxy(&self) -> Arc<dyn Proxy> {
        match &self.targets.of(&Context::detached("shop")).unwrap().way {
            Way::Fleet(fleet) => fleet.proxy.clone(),
            Way::File(_) => panic!("a fleet"),
        }
    }

    /// Nobody can tell the proxy anything any more.
    pub(crate) fn lose_proxy(&self) {
        std::fs::remove_file(self.folder.path().join("control")).unwrap();
    }

    /// In the one order that tables are compared in.
    pub(crate) async fn routes(&self) -> Routes {
        sorted(self.proxy().report().await.unwrap().routes())
    }

    /// `v1-0=0 v2-0=100`
    pub(crate) async fn table(&self) -> String {
        let servers = self.routes().await.servers;
        let words = servers.iter().map(|s| format!("{}={}", s.name, s.weight));
        words.collect::<Vec<_>>().join(" ")
    }

    /// Names of the processes there are notes of.
    pub(crate) fn processes(&self) -> Vec<String> {
        self.supervisor().look().unwrap().into_keys().collect()
    }

    pub(crate) fn supervisor(&self) -> Supervisor {
        let holder = program("deadelus-deployment");
        Supervisor::new(self.processes_folder(), holder, 10_000, Duration::from_millis(500))
    }

    fn processes_folder(&self) -> PathBuf {
        self.folder.path().join("processes")
    }

    /// Customers begin to come, through the proxy.
    pub(crate) fn customers(&self) -> Customers {
        Customers::come(&format!("{}/", self.url))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let supervisor = self.supervisor();
        for name in supervisor.look().unwrap_or_default().into_keys() {
            supervisor.kill(&name);
        }
    }
}

fn haproxy_config(socket: &Path, address: SocketAddr) -> String {
    format!(
        "global\n    stats socket {} mode 600 level admin\n\
         defaults\n    mode http\n    timeout connect 1s\n    timeout client 30s\n    \
         timeout server 30s\n    retries 2\n    option redispatch\n\
         frontend customers\n    bind {address}\n    default_backend shop\n\
         backend shop\n    balance roundrobin\n",
        socket.display()
    )
}

/// A target with the given proxy before it.
fn configured(
    folder: &TempDir,
    url: &str,
    proxy: &Value,
    replicas: usize,
    switch_timeout_ms: u64,
) -> Targets {
    checked(config(folder, url, proxy, replicas, switch_timeout_ms))
}

fn config(
    folder: &TempDir,
    url: &str,
    proxy: &Value,
    replicas: usize,
    switch_timeout_ms: u64,
) -> Value {
    let demo = program("deployment-demo").display().to_string();
    let revision = |(name, more): &(&str, &[&str])| {
        let mut command = vec![&demo, "--address", "{address}", "--revision", name];
        command.extend(*more);
        ((*name).to_owned(), json!({ "command": command }))
    };
    let mut revisions: serde_json::Map<String, Value> = WAYS.iter().map(revision).collect();
    revisions.insert("gone".to_owned(), json!({"command": ["/no/such/program", "{port}"]}));
    revisions["v1"]["schema_range"] = json!([6, 7]);
    revisions["v2"]["schema_range"] = json!([7, 7]);
    json!({
        "revisions": revisions,
        "probe_interval_ms": 10,
        "switch_timeout_ms": switch_timeout_ms,
        "processes": {
            "folder": folder.path().join("processes"),
            "url": url,
            "proxy": proxy,
            "replicas": replicas,
            "witness_path": "/",
            "terminate_within_ms": 500,
        },
    })
}

/// The target `shop`, from its configuration.
pub(crate) fn checked(config: Value) -> Targets {
    let config = serde_json::from_value(config).unwrap();
    crate::target::checked([("shop".parse().unwrap(), config)].into()).unwrap()
}

/// An open loop of customers, independent of everything under test: each comes at their own time.
pub(crate) struct Customers {
    asked: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    coming: JoinHandle<()>,
}

impl Customers {
    pub(crate) fn come(url: &str) -> Self {
        let prober = Prober::new(url.parse().unwrap(), Duration::from_secs(10));
        let (asked, refused) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (coming_in, turned_away) = (asked.clone(), refused.clone());
        let coming = tokio::spawn(async move {
            let mut clock = tokio::time::interval(CUSTOMER_EVERY);
            loop {
                clock.tick().await;
                let (prober, asked) = (prober.clone(), coming_in.clone());
                let refused = turned_away.clone();
                tokio::spawn(async move {
                    if let Some(reason) = prober.no_answer().await {
                        eprintln!("a customer was refused: {reason}");
                        refused.fetch_add(1, Ordering::SeqCst);
                    }
                    asked.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { asked, refused, coming }
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// How many came, and how many of them were refused.
    pub(crate) fn leave(self) -> (u64, u64) {
        self.coming.abort();
        (self.asked(), self.refused.load(Ordering::SeqCst))
    }
}
