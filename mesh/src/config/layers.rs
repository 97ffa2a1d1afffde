//! Putting the layers on top of each other, and saying which one is wrong.

use std::{env, fmt, path::PathBuf};

use config::{Config, ConfigBuilder, File, FileFormat, Value, builder::DefaultState};
use serde::de::DeserializeOwned;

/// What distinguishes configuration from other variables of ours is a double underscore.
const ENV_PREFIX: &str = "DEADELUS_";
const ENV_SEPARATOR: &str = "__";

/// Where the configuration of a process comes from.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// Whose configuration it is, for messages: `db`.
    pub process: &'static str,
    /// A TOML file that must exist when it is named.
    pub file: Option<PathBuf>,
    /// From flags: dotted key and value, the last one wins.
    pub overrides: Vec<(String, String)>,
}

/// Why a configuration was not taken. Never holds the content of a line of the file.
#[derive(Debug, thiserror::Error)]
#[error("configuration of {process}: {layer}: {problem}")]
pub struct ConfigError {
    process: &'static str,
    layer: Layer,
    problem: String,
}

/// An override as a flag spells it: `nats.url=nats://127.0.0.1:4222`.
///
/// # Errors
/// In words, when there is no `=`.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("{text:?} is not KEY=VALUE"))
}

/// Reads all layers.
///
/// # Errors
/// [`ConfigError`] naming the layer and the key: unknown key, wrong type, unreadable file.
pub fn load<T: DeserializeOwned>(layers: &Layers) -> Result<T, ConfigError> {
    load_with(layers, env::vars().collect())
}

fn load_with<T: DeserializeOwned>(
    layers: &Layers,
    environment: Vec<(String, String)>,
) -> Result<T, ConfigError> {
    let environment = variables(environment);
    let fault = |layer: Layer, problem: &config::ConfigError| ConfigError {
        process: layers.process,
        layer,
        problem: without_snippet(&problem.to_string()),
    };
    let upto = |last: &Layer| stacked(layers, &environment, last);
    let everything = Layer::Flags;
    let failure = match upto(&everything).and_then(Config::try_deserialize) {
        Ok(config) => return Ok(config),
        Err(failure) => failure,
    };
    // The layer to blame is the first on which the stack no longer stands.
    let below = [layers.file.clone().map(Layer::File), Some(Layer::Environment)];
    for layer in below.into_iter().flatten() {
        if let Err(problem) = upto(&layer).and_then(Config::try_deserialize::<T>) {
            return Err(fault(layer, &problem));
        }
    }
    Err(fault(everything, &failure))
}

/// The layers from the lowest to `last`.
fn stacked(
    layers: &Layers,
    environment: &[(String, String)],
    last: &Layer,
) -> Result<Config, config::ConfigError> {
    let mut builder = Config::builder();
    if let Some(path) = &layers.file {
        builder = builder.add_source(File::from(path.as_path()).format(FileFormat::Toml));
    }
    builder = match last {
        Layer::File(_) => builder,
        Layer::Environment => set_all(builder, environment)?,
        Layer::Flags => set_all(set_all(builder, environment)?, &layers.overrides)?,
    };
    builder.build()
}

fn set_all(
    builder: ConfigBuilder<DefaultState>,
    pairs: &[(String, String)],
) -> Result<ConfigBuilder<DefaultState>, config::ConfigError> {
    pairs.iter().try_fold(builder, |b, (key, text)| b.set_override(key.as_str(), value(text)))
}

/// The variables that are configuration, as dotted keys in a fixed order.
fn variables(environment: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> =
        environment.into_iter().filter_map(|(name, value)| Some((key_of(&name)?, value))).collect();
    pairs.sort();
    pairs
}

fn key_of(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix(ENV_PREFIX)?;
    let path = match rest.strip_prefix('_') {
        Some(top_level) => top_level,
        None => rest.contains(ENV_SEPARATOR).then_some(rest)?,
    };
    Some(path.split(ENV_SEPARATOR).collect::<Vec<_>>().join(".").to_ascii_lowercase())
}

/// Text, unless it is an array or inline table in TOML.
fn value(text: &str) -> Value {
    let structured = text.starts_with(['[', '{']).then(|| {
        let source = File::from_str(&format!("value = {text}"), FileFormat::Toml);
        Config::builder().add_source(source).build()?.get::<Value>("value")
    });
    structured.and_then(Result::ok).unwrap_or_else(|| Value::from(text))
}

/// A parser's message without the excerpt of the file, which may hold a secret.
fn without_snippet(message: &str) -> String {
    let excerpt = |line: &str| {
        line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|')
    };
    message.lines().filter(|line| !excerpt(line)).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[derive(Debug)]
enum Layer {
    File(PathBuf),
    Environment,
    Flags,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment => write!(f, "environment ({ENV_PREFIX}<SECTION>__<KEY>)"),
            Self::Flags => f.write_str("flags"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::config::{NatsConfig, Secret, TelemetryConfig, print};

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Everything {
        instance: String,
        nats: NatsConfig,
        telemetry: TelemetryConfig,
        targets: BTreeMap<String, Target>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Target {
        url: String,
        #[serde(default)]
        paths: Vec<String>,
        #[serde(default)]
        token: Secret,
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn loaded(
        text: &str,
        environment: &[(&str, &str)],
        flags: &[(&str, &str)],
    ) -> Result<Everything, ConfigError> {
        let file = file(text);
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let layers =
            Layers { process: "db", file: Some(file.path().to_owned()), overrides: owned(flags) };
        load_with(&layers, owned(environment))
    }

    #[test]
    fn flags_beat_environment_beats_file_beats_defaults() {
        let text = "[nats]\nurl = 'nats://file'\nreplicas = 2\nuser = 'file'\n";
        let environment = [("DEADELUS_NATS__USER", "env"), ("DEADELUS_NATS__REPLICAS", "3")];
        let config = loaded(text, &environment, &[("nats.replicas", "5")]).unwrap();
        assert_eq!(config.nats.url, "nats://file");
        assert_eq!(config.nats.user, "env");
        assert_eq!(config.nats.replicas, 5);
        assert_eq!(config.nats.prefix, "deadelus.v1");
    }

    #[test]
    fn only_variables_with_a_section_are_configuration() {
        let environment = [
            ("DEADELUS_HOME", "/somewhere"),
            ("DEADELUS_LOG", "debug"),
            ("DEADELUSX__A", "b"),
            ("DEADELUS__INSTANCE", "db-1"),
            ("DEADELUS_TARGETS__SHOP__URL", "http://shop"),
            ("DEADELUS_TARGETS__SHOP__PATHS", "['/a', '/b']"),
        ];
        let config = loaded("", &environment, &[]).unwrap();
        assert_eq!(config.instance, "db-1");
        assert_eq!(config.targets["shop"].url, "http://shop");
        assert_eq!(config.targets["shop"].paths, ["/a", "/b"]);
    }

    #[test]
    fn an_error_names_the_layer_and_the_key() {
        let check = |text, environment: &[_], flags: &[_], wanted: &[&str]| {
            let error = loaded(text, environment, flags).unwrap_err().to_string();
            for part in wanted {
                assert!(error.contains(part), "{part:?} is not in {error:?}");
            }
        };
        check("[nats]\nurrl = 'x'", &[], &[], &["configuration of db", ".toml", "urrl", "nats"]);
        check("", &[("DEADELUS_NATS__URRL", "x")], &[], &["environment", "urrl"]);
        check("", &[], &[("nats.urrl", "x")], &["flags", "urrl"]);
        check("[nats]\nreplicas = 'many'", &[], &[], &[".toml", "nats.replicas", "many"]);
        check("[targets.shop]\npaths = []", &[], &[], &[".toml", "url"]);
        check("nats = [", &[], &[], &[".toml", "line 1"]);
    }

    #[test]
    fn a_named_file_must_exist() {
        let file = Some(PathBuf::from("/does/not/exist.toml"));
        let error =
            load_with::<Everything>(&Layers { process: "db", file, overrides: vec![] }, vec![]);
        assert!(error.unwrap_err().to_string().contains("/does/not/exist.toml"));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = file("from-a-file\n");
        let text = format!(
            "[nats]\npassword = 'hunter2'\n[targets.shop]\nurl = 'x'\ntoken = {{ file = '{}' }}",
            secret.path().display()
        );
        let config = loaded(&text, &[], &[]).unwrap();
        assert_eq!(config.nats.password.expose(), "hunter2");
        assert_eq!(config.targets["shop"].token.expose(), "from-a-file");
        for shown in [print(&config), format!("{config:?}"), format!("{config:#?}")] {
            assert!(!shown.contains("hunter2") && !shown.contains("from-a-file"), "{shown}");
            assert!(shown.contains("***"), "{shown}");
        }
        let broken = loaded("[nats]\npassword = 'hunter2", &[], &[]).unwrap_err();
        assert!(!broken.to_string().contains("hunter2"), "{broken}");
        let wrong = loaded("[nats]\npassword = ['hunter2']", &[], &[]).unwrap_err();
        assert!(!wrong.to_string().contains("hunter2"), "{wrong}");
    }

    #[test]
    fn what_is_printed_can_be_loaded() {
        let mut config = Everything { instance: "a \"b\"\n".to_owned(), ..Everything::default() };
        let target =
            Target { url: "u".to_owned(), paths: vec!["p".to_owned()], token: Secret::default() };
        config.targets.insert("shop".to_owned(), target);
        let printed = print(&config);
        let again = loaded(&printed, &[], &[]).unwrap();
        assert_eq!(print(&again), printed);
        assert_eq!(again.instance, config.instance);
    }
}
