//! Where a text comes from: the target's folder, an artefact of an earlier task, or the plan.
//!
//! Nothing outside of the folder is ever read, by whatever path or link. What the text means is the
//! capability's to say; here it is JSON or YAML at the most.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use deadelus_proto::{Artefact, ErrorClass, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Context, blocking, tree};

/// Ten thousand policies are about as long, and so is the largest public API document.
pub const TEXT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// One of three.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Source {
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
pub struct InFolder {
    /// Relative to the folder: `openapi.yaml`, `policies.cedar`.
    pub file: PathBuf,
}

/// A text or a tree in the plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inline {
    /// The text as a string, or what would stand in it as JSON.
    pub inline: Value,
}

/// A text and what it is called in messages.
#[derive(Debug, Clone)]
pub struct Text {
    /// `openapi.yaml`; `inline` for what stands in the plan.
    pub name: String,
    /// At most [`TEXT_MAX_BYTES`].
    pub text: String,
}

impl Source {
    /// The text.
    ///
    /// # Errors
    /// `denied` for a path that leads out of the folder; `invalid_input` for a file or an artefact
    /// that is not there, is too large or is no text; `unavailable` when it cannot be read.
    pub async fn text(&self, cx: &Context, folder: &Path) -> Result<Text, Failure> {
        match self {
            Self::File(InFolder { file }) => {
                let (folder, name) = (folder.to_owned(), file.clone());
                let bytes = blocking(move || read_inside(&folder, &name)).await?;
                Text::new(&file.display().to_string(), bytes)
            }
            Self::Stored(artefact) => Text::new(&artefact.name, cx.fetch(artefact).await?),
            Self::Inline(Inline { inline: Value::String(text) }) => {
                Text::new("inline", text.as_bytes())
            }
            Self::Inline(Inline { inline }) => Text::new("inline", inline.to_string()),
        }
    }
}

impl Text {
    /// A text from elsewhere.
    ///
    /// # Errors
    /// `invalid_input` when it is too large or no UTF-8.
    pub fn new(name: &str, bytes: impl Into<Vec<u8>>) -> Result<Self, Failure> {
        let (name, bytes) = (name.to_owned(), bytes.into());
        if bytes.len() > TEXT_MAX_BYTES {
            return Err(invalid(format!("{name}: more than {TEXT_MAX_BYTES} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|e| invalid(format!("{name}: {e}")))?;
        Ok(Self { name, text })
    }

    /// Whether it is a JSON object, where a language has a notation of its own besides.
    pub fn is_json(&self) -> bool {
        self.text.trim_start().starts_with('{')
    }

    /// What its JSON or YAML says, keys in the order of their bytes. A key such as `200:` is text,
    /// as every reader of YAML for JSON has it.
    ///
    /// # Errors
    /// `invalid_input` when it is neither, or YAML that no JSON can say.
    pub fn tree(&self) -> Result<Value, Failure> {
        tree::parse(&self.text).map_err(|problem| invalid(format!("{}: {problem}", self.name)))
    }

    /// What its JSON or YAML says, in a shape of one's own.
    ///
    /// # Errors
    /// `invalid_input` when it is neither, or has another shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_yaml_ng::from_str(&self.text).map_err(|e| invalid(format!("{}: {e}", self.name)))
    }
}

/// What was given is of no use as it is: `invalid_input`.
pub fn invalid(text: impl Into<String>) -> Failure {
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
        std::fs::write(folder.join("a.yaml"), "openapi: 3.0.3").unwrap();
        std::fs::write(folder.join("b.yaml"), b"\xff\xfe").unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.join("link")).unwrap();
        let text = read(&folder, json!({"file": "a.yaml"})).await.unwrap();
        assert_eq!((&text.name[..], &text.text[..]), ("a.yaml", "openapi: 3.0.3"));
        for bad in ["../secret", "link", "/etc/passwd", "./../secret", ""] {
            let failure = read(&folder, json!({ "file": bad })).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::Denied, "{bad}");
        }
        for bad in ["c.yaml", "b.yaml"] {
            let failure = read(&folder, json!({ "file": bad })).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::InvalidInput, "{bad}");
        }
        let nowhere = read(&folder.join("no"), json!({"file": "a.yaml"})).await.unwrap_err();
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
            assert_eq!((&text.text[..], text.tree().unwrap()), ("[1]", json!([1])));
        }
    }

    #[test]
    fn what_is_too_large_says_so() {
        assert!(Text::new("large", vec![b' '; TEXT_MAX_BYTES]).is_ok());
        let failure = Text::new("large", vec![b' '; TEXT_MAX_BYTES + 1]).unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidInput);
        assert!(failure.message.starts_with("large: more than 16777216"), "{failure}");
    }
}
