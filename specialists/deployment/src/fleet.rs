//! A service as a fleet: processes of its revisions, and the proxy before them.

mod raise;
mod restore;
#[cfg(test)]
pub(crate) mod testing;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use deadelus_proxy::Server;
use deadelus_runtime::{Failure, Problem};
use hyper::Uri;
use serde::{Deserialize, Serialize};

pub(crate) use raise::cancelled;

use crate::{
    health::Prober,
    processes::{Instance, Launch, Supervisor},
    routing::{Haproxy, Own, Proxy},
    target::{Revision, Watch, http_url},
};

/// Two revisions of so many fit into one proxy's table, with room for one more.
const REPLICAS_MAX: usize = 16;

/// Part of the time of a way back; see the capability's timeout.
const TERMINATE_WITHIN_MAX_MS: u64 = 30_000;

/// What is left of a process's output; a smaller log tells nobody why it ended.
const LOG_MIN_BYTES: u64 = 1_000;

/// The processes of a service, and the proxy before them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Processes {
    /// Where notes, locks and logs of this service's processes are kept. Absolute; of no other.
    pub folder: PathBuf,
    /// The proxy as customers see it: `http://127.0.0.1:8080`.
    pub url: String,
    /// How the proxy is told.
    pub proxy: ProxyConfig,
    /// Processes of each revision, 1 to 16.
    #[serde(default = "default_replicas")]
    pub replicas: usize,
    /// Where each process says how it is: `{"status":"ok","revision":"v1"}`.
    #[serde(default = "default_health_path")]
    pub health_path: String,
    /// What a customer of our own asks for while a change lasts; the health where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness_path: Option<String>,
    /// A process that was asked to end and has not by then is killed; at most 30,000.
    #[serde(default = "default_terminate_within_ms")]
    pub terminate_within_ms: u64,
    /// What is kept of a process's output.
    #[serde(default = "default_log_max_bytes")]
    pub log_max_bytes: u64,
}

/// The proxy before a fleet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProxyConfig {
    /// `deadelus-proxy`.
    Own {
        /// Its control socket.
        control: PathBuf,
    },
    /// HAProxy 2.6 or newer.
    Haproxy {
        /// Its `stats socket`, level admin.
        socket: PathBuf,
        /// A backend with a dynamic balance and without servers of its own.
        backend: String,
    },
}

fn default_replicas() -> usize {
    1
}

fn default_health_path() -> String {
    "/healthz".to_owned()
}

fn default_terminate_within_ms() -> u64 {
    10_000
}

fn default_log_max_bytes() -> u64 {
    1_000_000
}

/// A checked fleet with the means to reach it.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) supervisor: Supervisor,
    pub(crate) proxy: Arc<dyn Proxy>,
    /// The health, as a customer sees it.
    pub(crate) through_proxy: Prober,
    /// What the witness asks for.
    pub(crate) witness_url: Uri,
    /// The proxy's own address, without a path.
    pub(crate) origin: String,
    pub(crate) replicas: usize,
    pub(crate) watch: Watch,
    health_path: String,
    programs: BTreeMap<String, Program>,
}

/// How a process of a revision is started.
#[derive(Debug)]
struct Program {
    command: Vec<String>,
    environment: BTreeMap<String, OsString>,
}

impl Fleet {
    pub(crate) fn check(
        config: Processes,
        revisions: &BTreeMap<String, Revision>,
        watch: Watch,
    ) -> Result<Self, Problem> {
        if !config.folder.is_absolute() {
            let problem = format!("folder: {} is not absolute", config.folder.display());
            return Err(("processes", problem));
        }
        within("replicas", config.replicas as u64, 1, REPLICAS_MAX as u64)?;
        within("terminate_within_ms", config.terminate_within_ms, 0, TERMINATE_WITHIN_MAX_MS)?;
        within("log_max_bytes", config.log_max_bytes, LOG_MIN_BYTES, u64::MAX)?;
        if let ProxyConfig::Haproxy { backend, .. } = &config.proxy
            && !backend.chars().all(|c| c.is_ascii_alphanumeric() || "._-:".contains(c))
        {
            return Err(("processes", format!("backend: {backend:?} is no name of a backend")));
        }
        let url = |path: &str| {
            url(&config.url, path).map_err(|problem| ("processes", format!("url: {problem}")))
        };
        let health = url(&config.health_path)?;
        let witness_url = url(config.witness_path.as_deref().unwrap_or(&config.health_path))?;
        let programs = revisions
            .iter()
            .map(|(name, revision)| Ok((name.clone(), Program::check(name, revision)?)))
            .collect::<Result<_, String>>()
            .map_err(|problem| ("revisions", problem))?;
        let holder = holder().map_err(|e| ("processes", format!("this program: {e}")))?;
        let terminate_within = Duration::from_millis(config.terminate_within_ms);
        Ok(Self {
            supervisor: Supervisor::new(
                config.folder,
                holder,
                config.log_max_bytes,
                terminate_within,
            ),
            proxy: proxy(config.proxy),
            through_proxy: Prober::new(health, watch.probe_timeout),
            witness_url,
            origin: config.url.trim_end_matches('/').to_owned(),
            replicas: config.replicas,
            watch,
            health_path: config.health_path,
            programs,
        })
    }

    /// What asks one server how it is, at its own address.
    fn prober(&self, server: &Server) -> Result<Prober, Failure> {
        let text = format!("http://{}{}", server.address, self.health_path);
        let url = text.parse().map_err(|e| {
            Failure::new(deadelus_runtime::ErrorClass::InvalidInput, format!("{text}: {e}"))
        })?;
        Ok(Prober::new(url, self.watch.probe_timeout))
    }

    /// What to start for a server of a revision; none for a revision that is not declared.
    fn launch(&self, revision: &str, name: &str, address: SocketAddr) -> Option<Launch> {
        let program = self.programs.get(revision)?;
        let word = |word: &String| {
            let port = address.port().to_string();
            word.replace("{address}", &address.to_string()).replace("{port}", &port)
        };
        Some(Launch {
            instance: Instance { name: name.to_owned(), address },
            command: program.command.iter().map(word).collect(),
            environment: program.environment.clone(),
        })
    }
}

impl Program {
    fn check(name: &str, revision: &Revision) -> Result<Self, String> {
        let Some(program) = revision.command.first() else {
            return Err(format!("{name}: a fleet needs the command that starts it"));
        };
        if !Path::new(program).is_absolute() {
            return Err(format!("{name}: command: {program:?} is not absolute"));
        }
        if !revision.command.iter().any(|w| w.contains("{address}") || w.contains("{port}")) {
            return Err(format!("{name}: command: neither {{address}} nor {{port}} is in it"));
        }
        let literal = revision.environment.iter().map(|(k, v)| (k.clone(), OsString::from(v)));
        let mut environment: BTreeMap<_, _> = literal.collect();
        for variable in &revision.environment_from {
            let value = std::env::var_os(variable)
                .ok_or_else(|| format!("{name}: environment_from: {variable} is not set here"))?;
            environment.insert(variable.clone(), value);
        }
        Ok(Self { command: revision.command.clone(), environment })
    }
}

fn proxy(config: ProxyConfig) -> Arc<dyn Proxy> {
    match config {
        ProxyConfig::Own { control } => Arc::new(Own::new(control)),
        ProxyConfig::Haproxy { socket, backend } => Arc::new(Haproxy::new(socket, backend)),
    }
}

fn url(origin: &str, path: &str) -> Result<Uri, String> {
    if !path.starts_with('/') {
        return Err(format!("{path:?} does not begin with /"));
    }
    http_url(&format!("{}{path}", origin.trim_end_matches('/')))
}

fn within(setting: &str, value: u64, min: u64, max: u64) -> Result<(), Problem> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(("processes", format!("{setting}: {value} is not within {min} and {max}")))
}

/// The program that holds processes: this one.
#[cfg(not(test))]
fn holder() -> io::Result<PathBuf> {
    std::env::current_exe()
}

#[cfg(test)]
#[expect(clippy::unnecessary_wraps, reason = "as the other one")]
fn holder() -> io::Result<PathBuf> {
    Ok(deadelus_tests::programs::program("deadelus-deployment"))
}
