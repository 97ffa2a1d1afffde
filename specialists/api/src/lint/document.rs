//! Rules about the document as a whole: info, servers, tags, components.

use std::collections::BTreeSet;

use serde_json::Value;

use super::rules::Found;
use crate::{
    document::{Document, child, references},
    validate,
};

pub(super) fn info_contact(document: &Document) -> Found {
    lacks(document, "/info", "contact")
}

pub(super) fn info_description(document: &Document) -> Found {
    lacks(document, "/info", "description")
}

pub(super) fn info_license(document: &Document) -> Found {
    lacks(document, "/info", "license")
}

pub(super) fn license_url(document: &Document) -> Found {
    let there = document.root().pointer("/info/license").is_some();
    if there { lacks(document, "/info/license", "url") } else { vec![] }
}

pub(super) fn contact_properties(document: &Document) -> Found {
    if document.root().pointer("/info/contact").is_none() {
        return vec![];
    }
    let keys = ["name", "url", "email"];
    keys.iter().flat_map(|key| lacks(document, "/info/contact", key)).collect()
}

pub(super) fn api_servers(document: &Document) -> Found {
    let empty = list(document, "servers").is_empty();
    let text = "a list of servers that is not empty".to_owned();
    if empty { vec![(String::new(), format!("the document lacks {text}"))] } else { vec![] }
}

pub(super) fn server_trailing_slash(document: &Document) -> Found {
    servers(document, |url| url != "/" && url.ends_with('/'), "ends in a slash")
}

pub(super) fn server_not_example(document: &Document) -> Found {
    servers(document, |url| url.contains("example.com"), "is an example")
}

fn servers(document: &Document, bad: fn(&str) -> bool, what: &str) -> Found {
    let urls = list(document, "servers").iter().enumerate();
    let urls = urls.filter_map(|(n, server)| Some((n, server.get("url")?.as_str()?)));
    urls.filter(|(_, url)| bad(url))
        .map(|(n, url)| (format!("/servers/{n}/url"), format!("{url} {what}")))
        .collect()
}

pub(super) fn tags(document: &Document) -> Found {
    let empty = list(document, "tags").is_empty();
    if empty { vec![(String::new(), "the document lacks tags".to_owned())] } else { vec![] }
}

pub(super) fn tags_alphabetical(document: &Document) -> Found {
    let names = tag_names(document);
    if names.is_sorted() { vec![] } else { vec![("/tags".to_owned(), "not in order".to_owned())] }
}

pub(super) fn tags_uniqueness(document: &Document) -> Found {
    let mut seen = BTreeSet::new();
    let again = tag_names(document).into_iter().enumerate();
    again
        .filter(|(_, name)| !seen.insert(*name))
        .map(|(n, name)| (format!("/tags/{n}/name"), format!("tag {name} stands there twice")))
        .collect()
}

pub(super) fn tag_description(document: &Document) -> Found {
    let count = list(document, "tags").len();
    (0..count).flat_map(|n| lacks(document, &format!("/tags/{n}"), "description")).collect()
}

/// What the standard's own schema refuses.
pub(super) fn schema(document: &Document) -> Found {
    let problems = validate::problems(document).into_iter();
    problems
        .filter(|problem| problem.check == validate::Kind::FollowsTheStandard)
        .map(|problem| (problem.pointer, problem.text))
        .collect()
}

/// Components that nothing refers to. Security schemes are referred to by name, and are left out.
pub(super) fn unused_component(document: &Document) -> Found {
    let used: BTreeSet<String> =
        references(document.root(), String::new()).into_iter().map(|r| r.to).collect();
    let components = document.root().get("components").and_then(Value::as_object);
    let mut found = vec![];
    for (kind, named) in components.into_iter().flatten() {
        let names = named.as_object().into_iter().flat_map(|map| map.keys());
        for name in names.filter(|_| kind != "securitySchemes" && !kind.starts_with("x-")) {
            let pointer = child(&child("/components", kind), name);
            if !used.contains(&format!("#{pointer}")) {
                found.push((pointer, format!("nothing refers to {name}")));
            }
        }
    }
    found
}

/// The names of the tags, in the order of the document.
pub(super) fn tag_names(document: &Document) -> Vec<&str> {
    list(document, "tags").iter().filter_map(|tag| tag.get("name")?.as_str()).collect()
}

fn list<'a>(document: &'a Document, key: &str) -> &'a [Value] {
    document.root().get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether the object at a pointer lacks a key, or has nothing under it.
fn lacks(document: &Document, at: &str, key: &str) -> Found {
    let value = document.root().pointer(at).and_then(|object| object.get(key));
    let empty = value.is_none_or(|value| value.is_null() || value.as_str() == Some(""));
    if empty { vec![(at.to_owned(), format!("it lacks {key}"))] } else { vec![] }
}
