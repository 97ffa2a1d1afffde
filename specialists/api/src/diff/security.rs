//! Who may call: security requirements of operations and of the document, and their schemes.
//!
//! A list of requirements is an *or*. What is added to an empty list locks callers out; what is
//! added to others is one more way in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    schema::view::Spot,
    walk::{Operation, Walk},
};

/// Schemes with their scopes: all of them are needed.
type Requirement = BTreeMap<String, BTreeSet<String>>;

/// Of the document: its own requirements, and the schemes they name.
pub(super) fn compare<'a>(walk: &mut Walk<'a>, a: &Spot<'a>, b: &Spot<'a>) {
    let lists = (requirements(a), requirements(b));
    let (olds, news) = (lists.0.unwrap_or_default(), lists.1.unwrap_or_default());
    let pointer = format!("{}/security", b.pointer);
    requirements_changed(walk, (&olds, &news), "api-global-security", ("", &pointer));
    schemes(walk, a, b);
}

/// Of an operation: its own requirements. Where one side has none of its own, the document's count.
pub(super) fn operation<'a>(walk: &mut Walk<'a>, operation: &Operation<'a>) {
    let (old, new) = (requirements(&operation.a), requirements(&operation.b));
    if old.is_none() && new.is_none() {
        return;
    }
    let global = |document: &'a Value| {
        requirements(&Spot { pointer: String::new(), value: document }).unwrap_or_default()
    };
    let olds = old.unwrap_or_else(|| global(walk.base.root()));
    let news = new.unwrap_or_else(|| global(walk.revision.root()));
    let pointer = operation.b.pointer.clone();
    requirements_changed(walk, (&olds, &news), "api-security", (&operation.name, &pointer));
}

fn requirements_changed(
    walk: &mut Walk<'_>,
    (olds, news): (&[Requirement], &[Requirement]),
    id: &str,
    (operation, pointer): (&str, &str),
) {
    // Nothing asked for, or nothing as one of the ways in.
    let open = |list: &[Requirement]| list.is_empty() || list.iter().any(Requirement::is_empty);
    let names = |requirement: &Requirement| {
        let names: Vec<&str> = requirement.keys().map(String::as_str).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") }
    };
    let same = |x: &Requirement, y: &Requirement| x.keys().eq(y.keys());
    for old in olds {
        match news.iter().find(|new| same(old, new)) {
            None => {
                let text = format!("{} is no longer a way in", names(old));
                let breaking = !open(news);
                let at = (operation, "", pointer);
                walk.tell_judged(&format!("{id}-removed"), breaking, at, text);
            }
            Some(new) => scopes_changed(walk, (old, new), id, (operation, pointer)),
        }
    }
    for new in news.iter().filter(|new| !olds.iter().any(|old| same(old, new))) {
        let breaking = open(olds) && !open(news);
        let text = format!("{} is asked for", names(new));
        let at = (operation, "", pointer);
        walk.tell_judged(&format!("{id}-added"), breaking, at, text);
    }
}

fn scopes_changed(
    walk: &mut Walk<'_>,
    (old, new): (&Requirement, &Requirement),
    id: &str,
    (operation, pointer): (&str, &str),
) {
    for (scheme, scopes) in new {
        let before = old.get(scheme).cloned().unwrap_or_default();
        for scope in scopes.difference(&before) {
            let text = format!("{scheme} asks for scope {scope}");
            walk.tell(&format!("{id}-scope-added"), operation, "", pointer, text);
        }
        for scope in before.difference(scopes) {
            let text = format!("{scheme} no longer asks for scope {scope}");
            walk.tell(&format!("{id}-scope-removed"), operation, "", pointer, text);
        }
    }
}

fn requirements(spot: &Spot<'_>) -> Option<Vec<Requirement>> {
    let names = |value: &Value| {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let requirement = |value: &Value| {
        let map = value.as_object().into_iter().flatten();
        map.map(|(scheme, scopes)| (scheme.clone(), names(scopes))).collect()
    };
    Some(spot.value.get("security")?.as_array()?.iter().map(requirement).collect())
}

fn schemes<'a>(walk: &mut Walk<'a>, a: &Spot<'a>, b: &Spot<'a>) {
    let of = |spot: &Spot<'a>| -> BTreeMap<&'a str, Spot<'a>> {
        let components = spot.get("components");
        components.map(|c| c.entries("securitySchemes")).unwrap_or_default().into_iter().collect()
    };
    let (olds, news) = (of(a), of(b));
    for (name, old) in &olds {
        let old = old.clone().resolved(walk.base);
        match news.get(name) {
            None => {
                let text = format!("security scheme {name} is gone");
                walk.tell("api-security-component-removed", "", name, &old.pointer, text);
            }
            Some(new) => scheme(walk, name, &old, &new.clone().resolved(walk.revision)),
        }
    }
    for (name, new) in news.iter().filter(|(name, _)| !olds.contains_key(*name)) {
        let text = format!("security scheme {name} was added");
        walk.tell("api-security-component-added", "", name, &new.pointer, text);
    }
}

fn scheme<'a>(walk: &mut Walk<'a>, name: &str, old: &Spot<'a>, new: &Spot<'a>) {
    let mut tell = |id: &str, text: String| {
        walk.tell(&format!("api-security-component-{id}"), "", name, &new.pointer, text);
    };
    let kind = |spot: &Spot<'a>| spot.value.get("type").cloned();
    if kind(old) != kind(new) {
        return tell("type-changed", format!("security scheme {name} is of another type"));
    }
    // Everything of an API key, an HTTP scheme or OpenID that is on the wire.
    for key in ["in", "name", "scheme", "openIdConnectUrl"] {
        if old.value.get(key) != new.value.get(key) {
            tell("changed", format!("security scheme {name}: {key} changed"));
        }
    }
    let (olds, news) = (old.entries("flows"), new.entries("flows"));
    for (flow, old) in &olds {
        let Some((_, new)) = news.iter().find(|(other, _)| other == flow) else {
            tell("changed", format!("security scheme {name}: flow {flow} is gone"));
            continue;
        };
        for (key, id) in [
            ("authorizationUrl", "oauth-url-changed"),
            ("tokenUrl", "oauth-token-url-changed"),
            ("refreshUrl", "oauth-token-url-changed"),
        ] {
            if old.value.get(key) != new.value.get(key) {
                tell(id, format!("security scheme {name}: {key} changed"));
            }
        }
        let (had, has) = (old.entries("scopes"), new.entries("scopes"));
        for (scope, old) in &had {
            match has.iter().find(|(other, _)| other == scope) {
                None => tell("oauth-scope-removed", format!("{name}: scope {scope} is gone")),
                Some((_, new)) if new.value != old.value => {
                    tell(
                        "oauth-scope-changed",
                        format!("{name}: scope {scope} says another thing"),
                    );
                }
                Some(_) => {}
            }
        }
        for (scope, _) in has.iter().filter(|(s, _)| !had.iter().any(|(other, _)| other == s)) {
            tell("oauth-scope-added", format!("{name}: scope {scope} was added"));
        }
    }
}
