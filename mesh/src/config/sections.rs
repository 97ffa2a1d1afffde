//! The sections that every process has.

use std::path::PathBuf;

use deadelus_proto::subject::DEFAULT_PREFIX;
use serde::{Deserialize, Serialize};

use super::Secret;

/// Where `deadelus up` puts its server.
pub(crate) const DEFAULT_URL: &str = "nats://127.0.0.1:4222";

/// The client says at `info` what we say ourselves.
const DEFAULT_LOG: &str = "info,async_nats=warn";

/// How to reach the mesh: section `nats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsConfig {
    /// One or more servers, separated by commas. No credentials in it: it is logged.
    pub url: String,
    /// First tokens of every subject; several meshes share an account by it.
    pub prefix: String,
    /// What the server's operators see; empty means the process's own name.
    pub name: String,
    /// A `.creds` file.
    pub credentials_file: Option<PathBuf>,
    /// The seed of an NKey, in a file that only this process can read.
    pub nkey_file: Option<PathBuf>,
    /// What the credential stands for, where `deadelus nats-config` has given each process its own:
    /// `orchestrator`, a specialist's name, `operator`, `viewer`. Empty means that everybody may do
    /// everything.
    pub role: String,
    /// With [`password`](Self::password), instead of a credentials file.
    pub user: String,
    /// Of [`user`](Self::user).
    pub password: Secret,
    /// A context of the NATS command line: address, credentials and TLS come from
    /// `~/.config/nats/context/NAME.json`, and none of them may be given here as well.
    pub context: String,
    /// TLS beyond what a `tls://` address implies.
    pub tls: TlsConfig,
    /// Copies of every stream: 1, or 3 in a cluster.
    pub replicas: usize,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            url: DEFAULT_URL.to_owned(),
            prefix: DEFAULT_PREFIX.to_owned(),
            name: String::new(),
            credentials_file: None,
            nkey_file: None,
            role: String::new(),
            user: String::new(),
            password: Secret::default(),
            context: String::new(),
            tls: TlsConfig::default(),
            replicas: 1,
        }
    }
}

/// Section `nats.tls`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates to trust instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, PEM; with [`key_file`](Self::key_file).
    pub cert_file: Option<PathBuf>,
    /// Our own key, PEM.
    pub key_file: Option<PathBuf>,
    /// Never speak in the clear, even if the server would.
    pub required: bool,
}

/// Where spans, metrics and log lines go: section `telemetry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// An OTLP gRPC collector: `http://127.0.0.1:4317`. None: trace ids are still made and passed
    /// on, spans are not sent.
    pub otlp_endpoint: Option<String>,
    /// Share of new traces that are recorded, 0 to 1. A trace begun elsewhere keeps its choice.
    pub sample_ratio: f64,
    /// Which log lines: `info`, `info,deadelus_mesh=debug`.
    pub log: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample_ratio: 1.0, log: DEFAULT_LOG.to_owned() }
    }
}
