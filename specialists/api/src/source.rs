//! Where a document comes from: the target's folder, an artefact of an earlier task, or the plan.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use deadelus_runtime::{Artefact, Context, ErrorClass, Failure, blocking};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{DOCUMENT_MAX_BYTES, Document, value};

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
    /// Relative to the folder: `openapi.yaml`.
    pub file: PathBuf,
}

/// A document in the plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inline {
    /// JSON.
    pub inline: Value,
}

impl Source {
    /// The document.
    ///
    /// # Errors
    /// Those of [`Document::parse`]; `denied` for a path that leads out of the folder,
    /// `invalid_input` for a file that is not there, `unavailable` when it cannot be read.
    pub(crate) async fn document(&self, cx: &Context, folder: &Path) -> Result<Document, Failure> {
        let (name, bytes) = self.read(cx, folder).await?;
        blocking(move || Document::parse(&name, &bytes)).await
    }

    /// A tree that need not be a document: a patch, an overlay.
    ///
    /// # Errors
    /// As [`Source::document`].
    pub(crate) async fn tree(&self, cx: &Context, folder: &Path) -> Result<Value, Failure> {
        let (name, bytes) = self.read(cx, folder).await?;
        value(&name, &bytes)
    }

    async fn read(&self, cx: &Context, folder: &Path) -> Result<(String, Vec<u8>), Failure> {
        match self {
            Self::File(InFolder { file }) => {
                let (folder, name) = (folder.to_owned(), file.clone());
                let bytes = blocking(move || read_inside(&folder, &name)).await?;
                Ok((file.display().to_string(), bytes))
            }
            Self::Stored(artefact) => {
                let bytes = cx.fetch(artefact).await?;
                Ok((artefact.name.clone(), bytes.to_vec()))
            }
            Self::Inline(Inline { inline }) => {
                Ok(("inline".to_owned(), inline.to_string().into_bytes()))
            }
        }
    }
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
            return Err(Failure::new(ErrorClass::InvalidInput, text));
        }
        Err(e) => return Err(unavailable(name, &e)),
    };
    if !path.starts_with(&root) {
        return Err(denied());
    }
    let mut bytes = vec![];
    let limit = DOCUMENT_MAX_BYTES as u64 + 1;
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

    async fn read(folder: &Path, source: Value) -> Result<Document, Failure> {
        let source: Source = serde_json::from_value(source).unwrap();
        source.document(&Context::detached("shop"), folder).await
    }

    #[tokio::test]
    async fn only_what_is_in_the_folder_is_read() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("shop");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.yaml"), "openapi: 3.0.3\npaths: {}").unwrap();
        std::fs::write(outside.path().join("secret.yaml"), "openapi: 3.0.3").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.yaml"), folder.join("b.yaml"))
            .unwrap();
        assert!(read(&folder, json!({"file": "a.yaml"})).await.is_ok());
        for bad in ["../secret.yaml", "b.yaml", "/etc/passwd", "./../secret.yaml", ""] {
            let failure = read(&folder, json!({ "file": bad })).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::Denied, "{bad}");
        }
        let missing = read(&folder, json!({"file": "c.yaml"})).await.unwrap_err();
        assert_eq!(missing.class, ErrorClass::InvalidInput);
        let nowhere = read(&folder.join("no"), json!({"file": "a.yaml"})).await.unwrap_err();
        assert_eq!(nowhere.class, ErrorClass::Unavailable);
    }

    #[tokio::test]
    async fn artefacts_and_the_plan_are_sources_too() {
        let cx = Context::detached("shop");
        let bytes = br#"{"openapi": "3.1.0", "paths": {}}"#;
        let kept = cx.keep("openapi.json", "application/json", bytes[..].into()).await.unwrap();
        let stored = Source::Stored(kept);
        let again: Source = serde_json::from_value(serde_json::to_value(&stored).unwrap()).unwrap();
        assert!(again.document(&cx, Path::new("/nowhere")).await.is_ok());
        assert!(read(Path::new("/"), json!({"inline": {"openapi": "3.1.0"}})).await.is_ok());
    }
}
