//! Layered configuration: defaults < file < environment < flags.
//!
//! Each process owns one struct with `#[serde(default, deny_unknown_fields)]`: serde supplies the
//! defaults and an unknown key is an error that names the key and the layer it stands in.
//!
//! An environment variable is configuration if, and only if, it names a section with a double
//! underscore: `DEADELUS_NATS__URL` is `nats.url`, `DEADELUS_TARGETS__SHOP__URL` is
//! `targets.shop.url`, and `DEADELUS__INSTANCE` is the top-level `instance`. Variables without one
//! (`DEADELUS_HOME`, `DEADELUS_LOG`) belong to whoever reads them. A value that parses as a TOML
//! array or inline table is one (`["a", "b"]`, `{file = "/run/secrets/nats"}`); every other value
//! is text and becomes what the field asks for.

mod layers;
mod secret;
mod sections;
mod show;

pub use layers::{ConfigError, Layers, key_value, load};
pub use secret::Secret;
pub use sections::{NatsConfig, TelemetryConfig, TlsConfig};
pub use show::print;
