//! What an operator configures about a provider: the one address, the keys, and whether real money
//! may move. The only place that holds credentials.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use deadelus_runtime::{Context, ErrorClass, Failure, Secret, TargetCard, TargetName};
use hyper::Uri;
use serde::{Deserialize, Serialize};

use crate::{
    client::Client,
    ledger::{Books, Location},
    service::Service,
};

/// A provider of payments. Unknown keys are errors.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentsTarget {
    /// `http://host:port`; no other address is ever asked. TLS ends in a tunnel before it.
    pub base_url: String,
    /// `sk_test_…`: a string, or `{ file = "/run/secrets/provider" }`.
    #[serde(default)]
    pub api_key: Secret,
    /// `whsec_…`, one for each endpoint, and two for one whose secret is being changed. With the
    /// first `payments.webhook_ingest` signs what it brings to the service.
    #[serde(default)]
    pub webhook_secrets: Vec<Secret>,
    /// Whether this is the account that real customers pay to.
    #[serde(default)]
    pub production: bool,
    /// Whether a live key may be used; needs `production` too.
    #[serde(default)]
    pub allow_live: bool,
    /// The service that takes payments, `http://host:port`: what `payments.drill` and
    /// `payments.webhook_ingest` try. It is never given the key.
    #[serde(default)]
    pub service_url: Option<String>,
    /// What the service knows us by, sent to it as `Authorization: Bearer …`: a string, or a file as
    /// above. Without one it is asked as by anybody.
    #[serde(default)]
    pub service_token: Secret,
    /// Whether the provider goes wrong on demand, as one for tests does.
    #[serde(default)]
    pub takes_faults: bool,
    /// The books that `payments.ledger_post` writes: `sqlite:PATH`, or the URL of a PostgreSQL, or
    /// `{ file = … }` with one of them. A database of their own: they are never taken away again.
    #[serde(default)]
    pub ledger: Secret,
    /// For one answer, in milliseconds; 1 to 80,000.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

/// A provider answers within seconds; one that takes longer is looked at again, not waited for.
fn default_timeout_ms() -> u64 {
    20_000
}

/// What the official clients wait.
const TIMEOUT_MAX_MS: u64 = 80_000;

/// Why a configuration cannot be used. Never shows a key.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Another scheme, a user in the address, a path behind it.
    #[error("{0}: base_url: not http://host:port")]
    Address(TargetName),
    /// The same of the service.
    #[error("{0}: service_url: not http://host:port")]
    Service(TargetName),
    /// A wait that is none or too long.
    #[error("{0}: timeout_ms: not between 1 and {TIMEOUT_MAX_MS}")]
    Timeout(TargetName),
    /// No key, or one that is none.
    #[error(
        "{0}: api_key: not a secret key: it begins with sk_test_, sk_live_, rk_test_ or rk_live_"
    )]
    Key(TargetName),
    /// It would not be one header.
    #[error("{0}: service_token: no token has blanks or ends of lines")]
    ServiceToken(TargetName),
    /// Anybody can sign with nothing.
    #[error("{0}: webhook_secrets: one of them is empty")]
    WebhookSecret(TargetName),
    /// It may hold a password, and is not repeated.
    #[error("{0}: ledger: use sqlite:PATH or postgresql://user@host/name, without sslmode=require")]
    Ledger(TargetName),
    /// Whoever listens on the way could move money.
    #[error(
        "{0}: base_url: a live key goes in the clear only to this machine: use a TLS tunnel on it"
    )]
    LiveInTheClear(TargetName),
}

impl PaymentsTarget {
    fn check(&self, name: &TargetName) -> Result<(), TargetError> {
        let uri = plain(&self.base_url).ok_or_else(|| TargetError::Address(name.clone()))?;
        if self.service_url.as_ref().is_some_and(|url| plain(url).is_none()) {
            return Err(TargetError::Service(name.clone()));
        }
        if !(1..=TIMEOUT_MAX_MS).contains(&self.timeout_ms) {
            return Err(TargetError::Timeout(name.clone()));
        }
        let key = self.api_key.expose();
        let kinds = ["sk_test_", "sk_live_", "rk_test_", "rk_live_"];
        let header = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !header || !kinds.iter().any(|kind| key.starts_with(kind)) {
            return Err(TargetError::Key(name.clone()));
        }
        if self.service_token.expose().bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(TargetError::ServiceToken(name.clone()));
        }
        if self.webhook_secrets.iter().any(Secret::is_empty) {
            return Err(TargetError::WebhookSecret(name.clone()));
        }
        if !self.ledger.is_empty() && Location::parse(self.ledger.expose()).is_none() {
            return Err(TargetError::Ledger(name.clone()));
        }
        let here = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if self.is_live() && !here {
            return Err(TargetError::LiveInTheClear(name.clone()));
        }
        Ok(())
    }

    pub(crate) fn is_live(&self) -> bool {
        let key = self.api_key.expose();
        key.starts_with("sk_live_") || key.starts_with("rk_live_")
    }
}

/// `http://host:port` and nothing more.
fn plain(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let bare = uri.path() == "/" && uri.query().is_none();
    let user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    (uri.scheme_str() == Some("http") && bare && !user).then_some(uri)
}

/// All providers of a configuration.
#[derive(Debug, Clone)]
pub(crate) struct Targets(Arc<BTreeMap<TargetName, PaymentsTarget>>);

impl Targets {
    /// # Errors
    /// When a configuration cannot be honoured.
    pub(crate) fn new(targets: BTreeMap<TargetName, PaymentsTarget>) -> Result<Self, TargetError> {
        targets.iter().try_for_each(|(name, target)| target.check(name))?;
        Ok(Self(Arc::new(targets)))
    }

    /// The provider that a task is about; `denied` when its key is live and not allowed.
    pub(crate) fn open(&self, cx: &Context) -> Result<Client, Failure> {
        let target = self.of(cx)?;
        if target.is_live() && !(target.production && target.allow_live) {
            let text = format!("target {} has a live key, and does not allow it", cx.target());
            return Err(Failure::new(ErrorClass::Denied, text).help(
                "use a test key; or say `production` and `allow_live` in its configuration",
            ));
        }
        let timeout = Duration::from_millis(target.timeout_ms);
        Ok(Client::new(&target.base_url, target.api_key.clone(), timeout))
    }

    /// The same for what is done only to try it; `denied` with every live key.
    pub(crate) fn open_for_tests(&self, cx: &Context, what: &str) -> Result<Client, Failure> {
        if self.of(cx)?.is_live() {
            let text = format!("{what}, and this target's key is live");
            return Err(Failure::new(ErrorClass::Denied, text).help("use a test key"));
        }
        self.open(cx)
    }

    /// The service that takes payments, as the task's target names it.
    pub(crate) fn service(&self, cx: &Context) -> Result<Service, Failure> {
        let target = self.of(cx)?;
        let url = target.service_url.as_deref().ok_or_else(|| {
            let text = format!("no service is configured for target {}", cx.target());
            Failure::new(ErrorClass::InvalidInput, text).help("name it as `service_url`")
        })?;
        Ok(Service::new(
            url,
            target.service_token.clone(),
            Duration::from_millis(target.timeout_ms),
        ))
    }

    /// The books of the task's target.
    pub(crate) fn books(&self, cx: &Context) -> Result<Books, Failure> {
        let target = self.of(cx)?;
        let location = Location::parse(target.ledger.expose()).ok_or_else(|| {
            let text = format!("no books are configured for target {}", cx.target());
            Failure::new(ErrorClass::Unsupported, text)
                .help("name their database as `ledger`, in the payments specialist's configuration")
        })?;
        Ok(Books::at(location, Duration::from_millis(target.timeout_ms)))
    }

    /// The configuration of the provider that a task is about.
    pub(crate) fn of(&self, cx: &Context) -> Result<&PaymentsTarget, Failure> {
        self.0.get(cx.target()).ok_or_else(|| {
            let text = format!("no provider is configured for target {}", cx.target());
            Failure::new(ErrorClass::InvalidInput, text)
                .help("add it under [targets] of the payments specialist's configuration")
        })
    }

    /// What may be told of each.
    pub(crate) fn cards(&self) -> impl Iterator<Item = TargetCard> {
        self.0.iter().map(|(name, target)| {
            let mode = if target.is_live() { "live" } else { "test" };
            let facts = [
                ("mode".to_owned(), mode.to_owned()),
                ("production".to_owned(), target.production.to_string()),
            ];
            TargetCard { name: name.clone(), facts: facts.into() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, key: &str) -> PaymentsTarget {
        let json = serde_json::json!({"base_url": url, "api_key": key});
        serde_json::from_value(json).unwrap()
    }

    fn open(target: PaymentsTarget) -> Result<(), String> {
        let targets = Targets::new([("shop".parse().unwrap(), target)].into());
        let targets = targets.map_err(|e| e.to_string())?;
        targets.open(&Context::detached("shop")).map(|_| ()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_live_key_needs_two_words_and_this_machine() {
        let here = "http://127.0.0.1:1";
        assert_eq!(open(target(here, "sk_test_1")), Ok(()));
        for (production, allow_live) in [(false, false), (true, false), (false, true)] {
            let target = PaymentsTarget { production, allow_live, ..target(here, "sk_live_1") };
            assert!(open(target).unwrap_err().starts_with("denied: "));
        }
        let allowed =
            |url| PaymentsTarget { production: true, allow_live: true, ..target(url, "rk_live_1") };
        assert_eq!(open(allowed(here)), Ok(()));
        assert!(open(allowed("http://provider.test")).unwrap_err().contains("TLS tunnel"));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_and_never_repeats_the_key() {
        let (here, key) = ("http://127.0.0.1:1", "sk_test_hunter2");
        for bad in [
            target("https://api.stripe.com", key),
            target("http://sk_test_hunter2@h", key),
            target("http://h/v1", key),
            target(here, "hunter2"),
            target(here, "sk_test_hunter2\r\n"),
            PaymentsTarget { timeout_ms: 0, ..target(here, key) },
            PaymentsTarget {
                service_token: Secret::from("hunter2\r\nx: y".to_owned()),
                ..target(here, key)
            },
            PaymentsTarget { webhook_secrets: vec![Secret::default()], ..target(here, key) },
        ] {
            let error = open(bad.clone()).unwrap_err();
            assert!(!format!("{error} {:?}", bad.api_key).contains("hunter2"), "{error}");
        }
        let shown = serde_json::to_string(&target(here, key)).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
        let unknown = r#"{"base_url": "http://h", "api_key": "sk_test_1", "live": true}"#;
        assert!(serde_json::from_str::<PaymentsTarget>(unknown).is_err());
    }
}
