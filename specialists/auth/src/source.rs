//! Where a text comes from: the target's folder, an artefact of an earlier task, or the plan.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use deadelus_runtime::{Artefact, Context, ErrorClass, Failure, blocking};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Ten thousand policies are about as long, and so is the largest public API document.
pub(crate) const TEXT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// One of three.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Source {
    /// A file of the target's folder.
    File(InFolder),
    /// What an earlier task kept.
    Stored(Artefact),
    /// What the plan itself says.
    Inline(Inline),
}

/// A file of the target's folder.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InFolder {
    /// Relative to the folder: `policies.cedar`.
    pub(crate) file: PathBuf,
}

/// A text, or JSON.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inline {
    /// Policies as Cedar's text, anything else as JSON.
    pub(crate) inline: Value,
}

/// A text and what it is called in messages.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    /// The text.
    ///
    /// # Errors
    /// `denied` for a path that leads out of the folder; `invalid_input` for a file that is not
    /// there, is too large or is no text; `unavailable` when it cannot be read.
    pub(crate) async fn text(&self, cx: &Context, folder: &Path) -> Result<Text, Failure> {
        let (name, bytes) = match self {
            Self::File(InFolder { file }) => {
                let (folder, name) = (folder.to_owned(), file.clone());
                let bytes = blocking(move || read_inside(&folder, &name)).await?;
                (file.display().to_string(), bytes)
            }
            Self::Stored(artefact) => (artefact.name.clone(), cx.fetch(artefact).await?.to_vec()),
            Self::Inline(Inline { inline: Value::String(text) }) => {
                ("inline".to_owned(), text.clone().into_bytes())
            }
            Self::Inline(Inline { inline }) => {
                ("inline".to_owned(), inline.to_string().into_bytes())
            }
        };
        if bytes.len() > TEXT_MAX_BYTES {
            return Err(invalid(format!("{name}: more than {TEXT_MAX_BYTES} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|e| invalid(format!("{name}: {e}")))?;
        Ok(Text { name, text })
    }
}

impl Text {
    /// What its JSON or YAML says.
    ///
    /// # Errors
    /// `invalid_input` when it is neither, or has another shape.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_yaml_ng::from_str(&self.text).map_err(|e| invalid(format!("{}: {e}", self.name)))
    }

    /// Whether it is a JSON object, as Cedar's other notation is.
    pub(crate) fn is_json(&self) -> bool {
        self.text.trim_start().starts_with('{')
    }
}

/// Of no use as it is.
pub(crate) fn invalid(text: impl Into<String>) -> Failure {
    Failure::new(ErrorClass::InvalidInput, text)
}

/// Reads a file that is in a folder, also behind every link.
fn read_inside(folder: &Path, name: &Path) -> Result<Vec<u8>, Failure> {
    let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    let denied = || {
        let text = format!("{}: leads out of the target's folder", name.display());
        Failure::new(ErrorClass::Denied, text).help("give a path relative to it, without ..")
    };
    if !plain || name.as_os_str().is_empty() {
        return Err(denied());
    }
    let root = folder.canonicalize().map_err(|e| unavailable(folder, &e))?;
    let path = match root.join(name).canonicalize() {
        Ok(path) => path,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let text = format!("{}: there is no such file in the target's folder", name.display());
            return Err(invalid(text));
        }
        Err(e) => return Err(unavailable(name, &e)),
    };
    if !path.starts_with(&root) {
        return Err(denied());
    }
    let mut bytes = vec![];
    let limit = TEXT_MAX_BYTES as u64 + 1;
    let file = File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    file.map_err(|e| unavailable(name, &e))?;
    Ok(bytes)
}

fn unavailable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(ErrorClass::Unavailable, format!("cannot read {}: {error}", path.display()))
        .help("check the folder of this target, and that this process may read it")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn read(folder: &Path, source: Value) -> Result<Text, Failure> {
        let source: Source = serde_json::from_value(source).unwrap();
        source.text(&Context::detached("shop"), folder).await
    }

    #[tokio::test]
    async fn only_what_is_in_the_folder_is_read() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("shop");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.cedar"), "permit").unwrap();
        std::fs::write(folder.join("b.cedar"), b"\xff\xfe").unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.join("link")).unwrap();
        assert_eq!(read(&folder, json!({"file": "a.cedar"})).await.unwrap().text, "permit");
        for bad in ["../secret", "link", "/etc/passwd", "./../secret", ""] {
            let failure = read(&folder, json!({ "file": bad })).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::Denied, "{bad}");
        }
        for bad in ["c.cedar", "b.cedar"] {
            let failure = read(&folder, json!({ "file": bad })).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::InvalidInput, "{bad}");
        }
        let nowhere = read(&folder.join("no"), json!({"file": "a.cedar"})).await.unwrap_err();
        assert_eq!(nowhere.class, ErrorClass::Unavailable);
    }

    #[tokio::test]
    async fn artefacts_and_the_plan_are_sources_too() {
        let cx = Context::detached("shop");
        let kept = cx.keep("a.json", "application/json", b"[1]"[..].into()).await.unwrap();
        let stored = serde_json::to_value(Source::Stored(kept)).unwrap();
        let stored: Source = serde_json::from_value(stored).unwrap();
        let text = stored.text(&cx, Path::new("/nowhere")).await.unwrap();
        assert_eq!(text.parse::<Vec<u8>>().unwrap(), [1]);
        for inline in [json!("[1]"), json!([1])] {
            let text = read(Path::new("/"), json!({ "inline": inline })).await.unwrap();
            assert_eq!(text.text, "[1]");
        }
    }
}
