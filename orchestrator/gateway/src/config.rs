//! What the gateway is told: section `gateway`. Without the section there is none.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
};

use deadelus_proto::Sha256;
use serde::{Deserialize, Serialize};

use crate::tokens::Role;

/// Where it listens if nothing else is said: only programs of this machine reach it.
const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8500);

/// Every token is compared with on every request.
const TOKENS_MAX: usize = 1_000;

/// The section.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port; port 0 takes a free one, which the log names.
    pub listen: SocketAddr,
    /// Whether something in front of it speaks TLS with the outside and is alone in reaching it.
    /// Only then may it listen on another address than loopback in the clear.
    pub behind_proxy: bool,
    /// Speaks TLS itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Who may ask, by name: the name is what the log says of who decided. `deadelus token` makes
    /// one.
    pub tokens: BTreeMap<String, TokenConfig>,
    /// How much is too much.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: LISTEN_DEFAULT,
            behind_proxy: false,
            tls: None,
            tokens: BTreeMap::new(),
            limits: Limits::default(),
        }
    }
}

/// What it shows of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate and what it rests on, PEM.
    pub cert_file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
}

/// A token, of which only the digest is known here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// SHA-256 of the token, lower-case hexadecimal.
    pub sha256: Sha256,
    /// What it may do besides looking.
    #[serde(default)]
    pub roles: BTreeSet<Role>,
    /// From when on it is refused, in seconds since the epoch; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_unix_s: Option<i64>,
}

/// Bounds of what one gateway takes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A larger request is refused with 413.
    pub body_max_bytes: usize,
    /// Of each token; who asks more often gets 429.
    pub requests_per_second: NonZeroU32,
    /// Of each token, at once after a silence.
    pub requests_burst: NonZeroU32,
    /// Open connections; further ones are closed at once.
    pub connections_max: NonZeroUsize,
    /// Open event streams; who wants a further one gets 503.
    pub streams_max: usize,
    /// Who takes nothing of what is sent for so long is cut off.
    pub stalled_max_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // The largest plan that fits into one message of the mesh, and some room.
            body_max_bytes: 1024 * 1024,
            // A person's scripts; a busy dashboard asks once a second.
            requests_per_second: const { NonZeroU32::new(50).unwrap() },
            requests_burst: const { NonZeroU32::new(200).unwrap() },
            // At some tens of KiB each this is half a gigabyte when all are busy.
            connections_max: const { NonZeroUsize::new(16_384).unwrap() },
            // The rest is for who asks and goes.
            streams_max: 12_000,
            // Longer than a link that is lost for a moment.
            stalled_max_s: 30,
        }
    }
}

/// Why the gateway does not open.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// It would be a door for anybody.
    #[error("gateway: {0}")]
    Unsafe(String),
    /// The port is taken, or not ours to take.
    #[error("gateway: cannot listen on {listen}; choose another gateway.listen")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// What `gateway.tls` names.
    #[error("gateway: cannot use {} as {what}", path.display())]
    Tls {
        /// `a certificate`
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Config {
    /// Whether it may be opened at all.
    ///
    /// # Errors
    /// [`GatewayError::Unsafe`] with what to change.
    pub fn check(&self) -> Result<(), GatewayError> {
        let refused = |what: String| Err(GatewayError::Unsafe(what));
        if self.tokens.is_empty() {
            return refused(
                "there is no token, so nobody could ask; `deadelus token NAME` makes one and \
                 prints the lines for this file"
                    .to_owned(),
            );
        }
        if self.tokens.len() > TOKENS_MAX {
            return refused(format!("{} tokens, at most {TOKENS_MAX}", self.tokens.len()));
        }
        if let Some(name) = self.tokens.keys().find(|name| !is_name(name)) {
            return refused(format!(
                "{name:?} is no name of a token: write letters, digits, - _ . @"
            ));
        }
        if !self.listen.ip().is_loopback() && self.tls.is_none() && !self.behind_proxy {
            return refused(format!(
                "{} is not loopback, and tokens would cross the network in the clear; set \
                 gateway.tls, or gateway.behind_proxy = true where only a proxy with TLS \
                 reaches it",
                self.listen
            ));
        }
        Ok(())
    }
}

/// It stands in the log as who decided.
fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    !name.is_empty() && name.len() <= NAME_MAX_BYTES && name.chars().all(good)
}

/// As long as the ids of the mesh.
const NAME_MAX_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str) -> Config {
        let sha256 = deadelus_mesh::objects::sha256(b"secret");
        let token = TokenConfig { sha256, roles: BTreeSet::new(), expires_unix_s: None };
        let tokens = BTreeMap::from([("ada".to_owned(), token)]);
        Config { listen: listen.parse().unwrap(), tokens, ..Config::default() }
    }

    #[test]
    fn what_would_be_an_open_door_does_not_open() {
        assert!(Config::default().check().unwrap_err().to_string().contains("deadelus token"));
        for inside in ["127.0.0.1:0", "127.1.2.3:80", "[::1]:0"] {
            config(inside).check().unwrap();
        }
        for outside in ["0.0.0.0:0", "[::]:0", "10.0.0.1:80"] {
            let said = config(outside).check().unwrap_err().to_string();
            assert!(said.contains("not loopback") && said.contains("gateway.tls"), "{said}");
            Config { behind_proxy: true, ..config(outside) }.check().unwrap();
            let files = ["a.pem", "b.pem"].map(PathBuf::from);
            let [cert_file, key_file] = files;
            Config { tls: Some(Tls { cert_file, key_file }), ..config(outside) }.check().unwrap();
        }
        let mut named = config("127.0.0.1:0");
        let token = named.tokens["ada"].clone();
        named.tokens.insert("ada\nforged".to_owned(), token);
        assert!(named.check().is_err());
    }
}
