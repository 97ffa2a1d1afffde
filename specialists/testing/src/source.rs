//! Where documents and collections come from: the target's folder, or an earlier task.

use std::{
    fs::File,
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use deadelus_runtime::{Artefact, Context, ErrorClass, Failure};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

/// The largest public descriptions are about as long.
const DOCUMENT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// One of two.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Source {
    /// A file of the target's folder.
    File(InFolder),
    /// What an earlier task kept.
    Stored(#[schemars(with = "Value")] Artefact),
}

/// A file of the target's folder `documents`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InFolder {
    /// Relative to the folder: `openapi.yaml`.
    file: PathBuf,
}

impl Source {
    /// JSON or YAML.
    ///
    /// # Errors
    /// `denied` for a path that leads out of the folder, `invalid_input` for what is not there or
    /// cannot be parsed.
    pub(crate) async fn tree(&self, cx: &Context, folder: Option<&Path>) -> Result<Value, Failure> {
        let (name, bytes) = match self {
            Self::File(InFolder { file }) => {
                let folder = folder.ok_or_else(|| {
                    let text = "this target has no folder of documents";
                    Failure::new(ErrorClass::Denied, text)
                        .help("name it as `documents`, in the testing specialist's file")
                })?;
                (file.display().to_string(), inside(folder, file)?)
            }
            Self::Stored(artefact) => (artefact.name.clone(), cx.fetch(artefact).await?.to_vec()),
        };
        if bytes.len() > DOCUMENT_MAX_BYTES {
            return Err(invalid(format!("{name}: more than {DOCUMENT_MAX_BYTES} bytes")));
        }
        if let Ok(value) = serde_json::from_slice(&bytes) {
            return Ok(value);
        }
        let yaml =
            serde_yaml_ng::from_slice(&bytes).map_err(|e| invalid(format!("{name}: {e}")))?;
        json(yaml).ok_or_else(|| invalid(format!("{name}: holds a tag or a key that is no text")))
    }
}

/// Reads a file that is in a folder, also behind every link.
fn inside(folder: &Path, name: &Path) -> Result<Vec<u8>, Failure> {
    let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    let found = folder.join(name).canonicalize().ok().zip(folder.canonicalize().ok());
    if !plain || found.as_ref().is_some_and(|(path, root)| !path.starts_with(root)) {
        let text = format!("{}: leads out of the target's folder", name.display());
        return Err(Failure::new(ErrorClass::Denied, text));
    }
    let mut bytes = vec![];
    let file =
        found.ok_or_else(|| invalid(format!("{}: there is no such file", name.display())))?;
    File::open(file.0)
        .and_then(|file| file.take(DOCUMENT_MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|e| invalid(format!("{}: {e}", name.display())))?;
    Ok(bytes)
}

/// YAML as JSON: keys such as `200:` become text.
fn json(yaml: Yaml) -> Option<Value> {
    Some(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => serde_json::to_value(number).ok()?,
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(json).collect::<Option<_>>()?),
        Yaml::Mapping(map) => {
            let entry = |(key, value)| match json(key)? {
                Value::String(key) => Some((key, json(value)?)),
                key @ (Value::Number(_) | Value::Bool(_)) => Some((key.to_string(), json(value)?)),
                Value::Null | Value::Array(_) | Value::Object(_) => None,
            };
            Value::Object(map.into_iter().map(entry).collect::<Option<_>>()?)
        }
        Yaml::Tagged(_) => return None,
    })
}

fn invalid(text: String) -> Failure {
    Failure::new(ErrorClass::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn only_what_is_in_the_folder_is_read() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("shop");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.yaml"), "responses: {200: {}}").unwrap();
        std::fs::write(outside.path().join("secret"), "{}").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.join("link")).unwrap();
        let cx = Context::detached("shop");
        let read = async |name: &str, folder: Option<&Path>| {
            let source: Source = serde_json::from_value(json!({ "file": name })).unwrap();
            source.tree(&cx, folder).await
        };
        let tree = read("a.yaml", Some(&folder)).await.unwrap();
        assert_eq!(tree, json!({"responses": {"200": {}}}));
        for name in ["../secret", "link", "/etc/passwd"] {
            let refused = read(name, Some(&folder)).await.unwrap_err();
            assert_eq!(refused.class, ErrorClass::Denied, "{name}");
        }
        assert_eq!(read("b", Some(&folder)).await.unwrap_err().class, ErrorClass::InvalidInput);
        assert_eq!(read("a.yaml", None).await.unwrap_err().class, ErrorClass::Denied);
    }
}
