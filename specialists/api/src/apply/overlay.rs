//! The `OpenAPI` Overlay Specification 1.0: actions that find places by JSONPath and merge into
//! them or remove them.

use deadelus_runtime::{ErrorClass, Failure, invalid};
use serde::Deserialize;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::Applied;

/// Actions of one overlay; each may search the whole document.
const ACTIONS_MAX: usize = 1_000;

/// Places one action may find; a merge into each copies its update.
const PLACES_MAX: usize = 10_000;

/// An overlay document.
#[derive(Debug, Deserialize)]
struct Overlay {
    overlay: String,
    actions: Vec<Action>,
}

/// One change.
#[derive(Debug, Deserialize)]
struct Action {
    target: String,
    #[serde(default)]
    update: Option<Value>,
    #[serde(default)]
    remove: bool,
}

/// Applies every action, in order.
///
/// # Errors
/// `invalid_input` for what is no overlay, `unsupported` for another version of one.
pub(super) fn apply(root: &Value, overlay: &Value) -> Result<Applied, Failure> {
    let overlay = Overlay::deserialize(overlay).map_err(|e| invalid(format!("overlay: {e}")))?;
    if !overlay.overlay.starts_with("1.0.") {
        let text = format!("overlay: version {:?}, only 1.0 is supported", overlay.overlay);
        return Err(Failure::new(ErrorClass::Unsupported, text));
    }
    if !(1..=ACTIONS_MAX).contains(&overlay.actions.len()) {
        let text = format!("overlay: {} actions, use 1 to {ACTIONS_MAX}", overlay.actions.len());
        return Err(invalid(text));
    }
    let (mut root, mut idle) = (root.clone(), vec![]);
    for (number, action) in overlay.actions.iter().enumerate() {
        let place = format!("overlay: actions/{number}");
        if action.remove == action.update.is_some() {
            return Err(invalid(format!("{place}: give either an update or remove: true")));
        }
        let path = JsonPath::parse(&action.target)
            .map_err(|e| invalid(format!("{place}: target {:?}: {e}", action.target)))?;
        let found: Vec<String> =
            path.query_located(&root).locations().map(|at| at.to_json_pointer()).collect();
        if found.len() > PLACES_MAX {
            return Err(invalid(format!("{place}: {} places, at most {PLACES_MAX}", found.len())));
        }
        if found.is_empty() {
            idle.push(action.target.clone());
        }
        match &action.update {
            None => remove(&mut root, found),
            Some(update) => update_each(&mut root, &found, update)
                .map_err(|at| invalid(format!("{place}: {at} is neither object nor array")))?,
        }
    }
    Ok(Applied { root, actions: overlay.actions.len(), idle })
}

/// Removes places, the last of an array first.
fn remove(root: &mut Value, mut found: Vec<String>) {
    let key = |pointer: &String| -> Vec<(u64, String)> {
        pointer.split('/').map(|p| (p.parse().unwrap_or(u64::MAX), p.to_owned())).collect()
    };
    found.sort_by_key(key);
    for pointer in found.iter().rev() {
        let Some((parent, last)) = pointer.rsplit_once('/') else { continue };
        match root.pointer_mut(parent) {
            Some(Value::Object(map)) => {
                map.remove(&last.replace("~1", "/").replace("~0", "~"));
            }
            Some(Value::Array(items)) => {
                if let Ok(place) = last.parse::<usize>()
                    && place < items.len()
                {
                    items.remove(place);
                }
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {}
        }
    }
}

/// Merges into places; the first that cannot be merged into is the error.
fn update_each(root: &mut Value, found: &[String], update: &Value) -> Result<(), String> {
    for pointer in found {
        match root.pointer_mut(pointer) {
            Some(Value::Array(items)) => items.push(update.clone()),
            Some(target @ Value::Object(_)) => merge(target, update),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {
                return Err(pointer.clone());
            }
        }
    }
    Ok(())
}

/// Objects key by key, arrays one after the other, everything else replaced.
fn merge(target: &mut Value, update: &Value) {
    match (target, update) {
        (Value::Object(target), Value::Object(update)) => {
            for (key, value) in update {
                match target.get_mut(key) {
                    Some(inner) => merge(inner, value),
                    None => {
                        target.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(target), Value::Array(update)) => target.extend(update.iter().cloned()),
        (target, update) => *target = update.clone(),
    }
}
