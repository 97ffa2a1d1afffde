//! The document as a whole: its schemas by name, and whether its version says that it changed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    change::{Change, Level},
    schema::view::Spot,
    walk::Walk,
};

/// Named schemas that are gone. Whoever used one is compared by what it uses now.
pub(super) fn compare<'a>(walk: &mut Walk<'a>, a: &Spot<'a>, b: &Spot<'a>) {
    let of = |spot: &Spot<'a>| -> BTreeMap<&'a str, Spot<'a>> {
        let components = spot.get("components");
        components.map(|c| c.entries("schemas")).unwrap_or_default().into_iter().collect()
    };
    let news = of(b);
    for (name, old) in of(a) {
        if !news.contains_key(name) {
            let text = format!("schema {name} is gone");
            walk.tell("api-schema-removed", "", name, &old.pointer, text);
        }
    }
}

/// Whether `info.version` keeps step with the changes, by the rules of semantic versioning.
pub(super) fn version(base: &Value, revision: &Value, changes: &[Change]) -> Option<Change> {
    let of = |document: &Value| -> Option<Vec<u64>> {
        let version = document.pointer("/info/version")?.as_str()?.trim_start_matches('v');
        let core = version.split(['-', '+']).next()?;
        core.split('.').map(|part| part.parse().ok()).collect()
    };
    let (old, new) = (of(base)?, of(revision)?);
    let breaks = changes.iter().any(|change| change.level == Level::Error);
    let (id, text) = if new < old {
        ("api-version-decreased", "info.version went back")
    } else if breaks && new.first() == old.first() {
        ("api-major-version-not-bumped", "callers break, and info.version does not say so")
    } else if new == old && !changes.is_empty() {
        ("api-version-not-bumped", "the document changed, and info.version did not")
    } else {
        return None;
    };
    Some(Change {
        id: id.to_owned(),
        level: Level::Info,
        breaking: false,
        operation: String::new(),
        at: String::new(),
        pointer: "/info/version".to_owned(),
        text: text.to_owned(),
    })
}
