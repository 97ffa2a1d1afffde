//! Text that can be used and cannot be shown.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// What stands where a secret is.
const HIDDEN: &str = "***";

/// A password, key or token. `Debug` and `Serialize` hide it; [`expose`](Self::expose) is the only
/// way out. In a file it is a string, or `{ file = "/run/secrets/x" }`, read when the
/// configuration is loaded, without its last line break. Empty means not set.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "\"\"" } else { HIDDEN })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { HIDDEN })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Text(String),
            File { file: PathBuf },
        }
        // The library's own message would quote what was given.
        let given = Given::deserialize(deserializer)
            .map_err(|_| D::Error::custom("a secret is a string or { file = \"path\" }"))?;
        match given {
            Given::Text(text) => Ok(Self(text)),
            Given::File { file } => std::fs::read_to_string(&file)
                .map(|text| Self(text.trim_end_matches(['\r', '\n']).to_owned()))
                .map_err(|e| D::Error::custom(format!("secret file {}: {e}", file.display()))),
        }
    }
}
