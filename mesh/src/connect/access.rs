//! What the configuration says about address, credentials and TLS, checked before anybody connects.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use async_nats::{ConnectOptions, ServerAddr};
use serde::Deserialize;

use crate::{
    MeshError,
    config::{NatsConfig, Secret, TlsConfig},
};

/// Everything needed to connect. `Debug` shows no secret.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) servers: Vec<ServerAddr>,
    login: Login,
    tls: TlsConfig,
}

#[derive(Debug)]
enum Login {
    None,
    /// The content of a `.creds` file.
    Credentials(Secret),
    Password {
        user: String,
        password: Secret,
    },
    Token(Secret),
    NKey(Secret),
}

impl Access {
    /// Reads the files the configuration names and turns it into an address and a login.
    pub(super) fn resolve(config: &NatsConfig) -> Result<Self, MeshError> {
        if config.context.is_empty() {
            return Self::from_config(config);
        }
        let given = [
            ("url", config.url != crate::config::NatsConfig::default().url),
            ("credentials_file", config.credentials_file.is_some()),
            ("nkey_file", config.nkey_file.is_some()),
            ("user", !config.user.is_empty()),
            ("password", !config.password.is_empty()),
            ("tls", config.tls != TlsConfig::default()),
        ];
        if let Some((field, _)) = given.iter().find(|(_, given)| *given) {
            return Err(settings(format!("give either nats.context or nats.{field}, not both")));
        }
        let path = context_path(&config.context)?;
        Context::parse(&read(&path)?, &path)?.access()
    }

    fn from_config(config: &NatsConfig) -> Result<Self, MeshError> {
        let servers = servers(&config.url)?;
        if servers.iter().any(|s| s.has_user_pass() || s.password().is_some()) {
            return Err(settings(
                "nats.url holds credentials, and addresses are logged; use nats.user and \
                 nats.password, or nats.credentials_file",
            ));
        }
        Self { servers, login: login(config)?, tls: config.tls.clone() }.checked()
    }

    fn checked(self) -> Result<Self, MeshError> {
        if self.tls.cert_file.is_some() != self.tls.key_file.is_some() {
            return Err(settings("nats.tls.cert_file and nats.tls.key_file go together"));
        }
        Ok(self)
    }

    /// Fresh connect options; they cannot be cloned.
    pub(super) fn options(&self) -> Result<ConnectOptions, MeshError> {
        let options = ConnectOptions::new();
        let mut options = match &self.login {
            Login::None => options,
            Login::Credentials(text) => options.credentials(text.expose()).map_err(|_| {
                // The library's error may quote the file.
                settings("nats.credentials_file holds no user JWT and seed")
            })?,
            Login::Password { user, password } => {
                options.user_and_password(user.clone(), password.expose().to_owned())
            }
            Login::Token(token) => options.token(token.expose().to_owned()),
            Login::NKey(seed) => options.nkey(seed.expose().to_owned()),
        };
        if let Some(path) = &self.tls.ca_file {
            options = options.add_root_certificates(path.clone());
        }
        if let (Some(cert), Some(key)) = (&self.tls.cert_file, &self.tls.key_file) {
            options = options.add_client_certificate(cert.clone(), key.clone());
        }
        Ok(options.require_tls(self.tls.required))
    }

    /// The addresses, without anything secret.
    pub(super) fn shown(&self) -> String {
        let shown = |s: &ServerAddr| format!("{}://{}:{}", s.scheme(), s.host(), s.port());
        self.servers.iter().map(shown).collect::<Vec<_>>().join(",")
    }
}

fn login(config: &NatsConfig) -> Result<Login, MeshError> {
    match (&config.credentials_file, &config.nkey_file, config.user.is_empty()) {
        (Some(path), None, true) => Ok(Login::Credentials(read(path)?.into())),
        (None, Some(path), true) => Ok(Login::NKey(read(path)?.trim().to_owned().into())),
        (None, None, false) => {
            let (user, password) = (config.user.clone(), config.password.clone());
            Ok(Login::Password { user, password })
        }
        (None, None, true) if config.password.is_empty() => Ok(Login::None),
        (None, None, true) => Err(settings("nats.password is given without nats.user")),
        (Some(_), Some(_), _) | (Some(_), None, false) | (None, Some(_), false) => Err(settings(
            "give one of nats.credentials_file, nats.nkey_file and nats.user, not several",
        )),
    }
}

/// A context of the NATS command line. Keys that change how to connect and that we do not honour
/// are refused by name; the others concern the tool only.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Context {
    url: String,
    user: String,
    password: Secret,
    token: Secret,
    creds: PathBuf,
    nkey: PathBuf,
    cert: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    jetstream_domain: String,
    jetstream_api_prefix: String,
    inbox_prefix: String,
    socks_proxy: String,
    nsc: String,
    user_jwt: String,
}

impl Context {
    fn parse(text: &str, path: &Path) -> Result<Self, MeshError> {
        serde_json::from_str(text)
            .map_err(|e| settings(format!("{} is no NATS context: {e}", path.display())))
    }

    fn access(self) -> Result<Access, MeshError> {
        let unsupported = [
            ("jetstream_domain", &self.jetstream_domain),
            ("jetstream_api_prefix", &self.jetstream_api_prefix),
            ("inbox_prefix", &self.inbox_prefix),
            ("socks_proxy", &self.socks_proxy),
            ("nsc", &self.nsc),
            ("user_jwt", &self.user_jwt),
        ];
        if let Some((key, _)) = unsupported.iter().find(|(_, value)| !value.is_empty()) {
            return Err(settings(format!("the NATS context's {key} is not supported")));
        }
        let tls = TlsConfig {
            ca_file: some(&self.ca),
            cert_file: some(&self.cert),
            key_file: some(&self.key),
            required: false,
        };
        let login = self.login()?;
        let url =
            if self.url.is_empty() { crate::config::NatsConfig::default().url } else { self.url };
        let (servers, inside) = without_login(servers(&url)?)?;
        let login = if matches!(login, Login::None) { inside } else { login };
        Access { servers, login, tls }.checked()
    }

    fn login(&self) -> Result<Login, MeshError> {
        if let Some(path) = some(&self.creds) {
            return Ok(Login::Credentials(read(&path)?.into()));
        }
        if let Some(path) = some(&self.nkey) {
            return Ok(Login::NKey(read(&path)?.trim().to_owned().into()));
        }
        if !self.token.is_empty() {
            return Ok(Login::Token(self.token.clone()));
        }
        if !self.user.is_empty() {
            let (user, password) = (self.user.clone(), self.password.clone());
            return Ok(Login::Password { user, password });
        }
        Ok(Login::None)
    }
}

/// Moves user and password out of the addresses, where they would be logged.
fn without_login(servers: Vec<ServerAddr>) -> Result<(Vec<ServerAddr>, Login), MeshError> {
    let login =
        servers.iter().find(|s| s.has_user_pass()).map_or(Login::None, |s| Login::Password {
            user: s.username().unwrap_or_default().to_owned(),
            password: s.password().unwrap_or_default().to_owned().into(),
        });
    let bare = |s: &ServerAddr| format!("{}://{}:{}", s.scheme(), bracketed(s.host()), s.port());
    let servers = servers.iter().map(|s| server(&bare(s))).collect::<Result<_, _>>()?;
    Ok((servers, login))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn servers(url: &str) -> Result<Vec<ServerAddr>, MeshError> {
    url.split(',').map(|one| server(one.trim())).collect()
}

fn server(url: &str) -> Result<ServerAddr, MeshError> {
    // The address itself is not repeated: somebody may have put a password into it.
    url.parse().map_err(|e| settings(format!("nats.url: {e}")))
}

fn context_path(name: &str) -> Result<PathBuf, MeshError> {
    let base = match (env::var_os("XDG_CONFIG_HOME"), env::var_os("HOME")) {
        (Some(base), _) if !base.is_empty() => PathBuf::from(base),
        (_, Some(home)) => PathBuf::from(home).join(".config"),
        (_, None) => {
            return Err(settings("nats.context needs HOME or XDG_CONFIG_HOME to be found"));
        }
    };
    if name.contains(['/', '\\']) {
        return Err(settings(format!("nats.context {name:?} is a name, not a path")));
    }
    Ok(base.join("nats/context").join(format!("{name}.json")))
}

fn some(path: &Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| path.to_owned())
}

fn read(path: &Path) -> Result<String, MeshError> {
    fs::read_to_string(path).map_err(|source| MeshError::File { path: path.to_owned(), source })
}

fn settings(problem: impl Into<String>) -> MeshError {
    MeshError::Settings(problem.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_credentials_is_refused_and_not_repeated() {
        let url = "nats://me:hunter2@host".to_owned();
        let error = Access::resolve(&NatsConfig { url, ..NatsConfig::default() }).unwrap_err();
        assert!(error.to_string().contains("nats.password"), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn contradictions_are_refused() {
        let check = |config: NatsConfig, wanted: &str| {
            let error = Access::resolve(&config).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        };
        let base = NatsConfig::default;
        let password = || Secret::from("x".to_owned());
        check(NatsConfig { password: password(), ..base() }, "without nats.user");
        check(NatsConfig { context: "x".into(), user: "u".into(), ..base() }, "not both");
        let tls = TlsConfig { key_file: Some("k".into()), ..TlsConfig::default() };
        check(NatsConfig { tls, ..base() }, "go together");
        check(NatsConfig { url: "ftp://x".into(), ..base() }, "invalid scheme");
        let credentials_file = Some(PathBuf::from("/does/not/exist"));
        check(NatsConfig { credentials_file, ..base() }, "/does/not/exist");
        let nkey_file = Some(PathBuf::from("/no/seed"));
        check(NatsConfig { nkey_file: nkey_file.clone(), ..base() }, "/no/seed");
        check(NatsConfig { nkey_file, user: "u".into(), ..base() }, "not several");
    }

    #[test]
    fn a_context_gives_address_and_login_and_shows_neither_password() {
        let text = r#"{"description": "x", "url": "nats://me:hunter2@a:1, tls://b", "color": ""}"#;
        let access = Context::parse(text, Path::new("x.json")).unwrap().access().unwrap();
        assert_eq!(access.shown(), "nats://a:1,tls://b:4222");
        assert!(matches!(&access.login, Login::Password { user, password }
            if user == "me" && password.expose() == "hunter2"));
        assert!(!format!("{access:?}").contains("hunter2"));
    }

    #[test]
    fn what_a_context_asks_and_we_do_not_do_is_refused() {
        let context = Context::parse(r#"{"jetstream_domain": "leaf"}"#, Path::new("x")).unwrap();
        assert!(context.access().unwrap_err().to_string().contains("jetstream_domain"));
    }
}
