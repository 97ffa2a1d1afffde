//! `allOf`, `oneOf`, `anyOf`, and the discriminator that tells alternatives apart.

use std::collections::{BTreeSet, HashMap};

use super::{Pair, What, view::Spot};
use crate::{
    diff::rules::Variance,
    document::{Document, child},
};

/// A keyword with a list of schemas, and the aspects of a member that came or went.
struct List {
    keyword: &'static str,
    added: &'static str,
    removed: &'static str,
    /// What a member does that joins a list which is already there.
    joins: Variance,
}

const LISTS: [List; 3] = [
    List {
        keyword: "allOf",
        added: "all-of-added",
        removed: "all-of-removed",
        joins: Variance::Narrows,
    },
    List {
        keyword: "oneOf",
        added: "one-of-added",
        removed: "one-of-removed",
        joins: Variance::Widens,
    },
    List {
        keyword: "anyOf",
        added: "any-of-added",
        removed: "any-of-removed",
        joins: Variance::Widens,
    },
];

/// What members of two lists are known by.
#[derive(Debug, Clone, Copy)]
enum By {
    Reference,
    Title,
    Value,
}

impl By {
    /// What it is known by; none where it has no such name.
    fn key(self, spot: &Spot<'_>, document: &Document) -> Option<String> {
        match self {
            Self::Reference => spot.reference().map(str::to_owned),
            Self::Title => spot.text("title").map(str::to_owned),
            Self::Value => Some(document.resolve(&spot.pointer, spot.value).1.to_string()),
        }
    }
}

impl<'a> Pair<'_, 'a> {
    /// Alternatives where there were none, and the other way round. True when that was all there is
    /// to compare.
    pub(super) fn alternatives(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) -> bool {
        let has =
            |spot: &Spot<'a>| ["oneOf", "anyOf"].iter().any(|key| spot.value.get(key).is_some());
        if self.list_of_types(at, a, b) {
            return true;
        }
        match (has(a), has(b)) {
            (false, true) => {
                if let Some(only) = b.only_alternative() {
                    self.null_beside(at, a, b);
                    self.visit(at, a, &only);
                    return true;
                }
                let one_of = b.value.get("oneOf").is_some();
                let moved = b.assertions().all(|key| matches!(key, "oneOf" | "discriminator"));
                let wrapped = one_of && moved && !a.trivial();
                if wrapped {
                    let text = "it became one of several alternatives".to_owned();
                    self.aspect(at, b, "wrapped-in-one-of", text);
                }
                wrapped
            }
            (true, false) => {
                let Some(only) = a.only_alternative() else { return false };
                self.null_beside(at, a, b);
                self.visit(at, &only, b);
                true
            }
            (true, true) | (false, false) => false,
        }
    }

    /// `null` as an alternative beside the only other one.
    fn null_beside(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let old = a.clone().resolved(self.graph.base).nullable(self.graph.base.version());
        let new = b.clone().resolved(self.graph.revision).nullable(self.graph.revision.version());
        match (old, new) {
            (false, true) => {
                self.aspect(at, b, "became-nullable", "it may be null now".to_owned());
            }
            (true, false) => {
                self.aspect(at, b, "became-not-nullable", "it must not be null now".to_owned());
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Alternatives that are nothing but types, on one side or both.
    fn list_of_types(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) -> bool {
        let (from, to) = match (a.list_of_types(), b.list_of_types()) {
            (None, None) => return false,
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) if b.bare() => (from, b.kind(self.graph.revision).types),
            (None, Some(to)) if a.bare() => (a.kind(self.graph.base).types, to),
            (Some(_), None) | (None, Some(_)) => return false,
        };
        let words = |names: Vec<&String>| {
            names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        let gone: Vec<_> = from.difference(&to).collect();
        if !gone.is_empty() {
            let text = format!("{} is no longer admitted", words(gone));
            self.aspect(at, b, "list-of-types-narrowed", text);
        }
        let new: Vec<_> = to.difference(&from).collect();
        if !new.is_empty() {
            self.aspect(at, b, "list-of-types-widened", format!("{} is admitted now", words(new)));
        }
        self.null_beside(at, a, b);
        true
    }

    /// Members of each list: which came, which went, and what changed in those that stayed.
    pub(super) fn composition(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        for list in LISTS {
            let keep = |mut members: Vec<Spot<'a>>| {
                members.retain(|member| list.keyword == "allOf" || !member.null());
                members
            };
            let (olds, news) = (keep(a.list(list.keyword)), keep(b.list(list.keyword)));
            let matched = self.matched(&olds, &news);
            for (old, new) in &matched {
                let name = name(&news[*new], *new);
                let place = child(&child(at, list.keyword), &name);
                self.visit(&place, &olds[*old], &news[*new]);
            }
            for (place, new) in news.iter().enumerate() {
                if !matched.iter().any(|(_, matched)| *matched == place) {
                    self.joined(at, &list, b, (new, &news), olds.is_empty());
                }
            }
            for (place, old) in olds.iter().enumerate() {
                if !matched.iter().any(|(matched, _)| *matched == place) {
                    self.left(at, &list, b, old, news.is_empty());
                }
            }
        }
        self.discriminator(at, a, b);
    }

    fn joined(
        &mut self,
        at: &str,
        list: &List,
        b: &Spot<'a>,
        (new, all): (&Spot<'a>, &[Spot<'a>]),
        first: bool,
    ) {
        let text = format!("{} {} was added", list.keyword, name(new, 0));
        if list.keyword == "allOf" && new.clone().resolved(self.graph.revision).trivial() {
            return self.aspect(at, b, "all-of-added-annotation-only", text);
        }
        // A list where there was none narrows; one of two that overlap admits neither.
        let variance = match list.keyword {
            "allOf" => None,
            _ if first => Some(Variance::Narrows),
            "oneOf" if !self.disjoint(new, all, b) => Some(Variance::Unproven),
            _ => Some(list.joins),
        };
        self.find(at, b, What::Aspect(list.added), text, super::Access::default(), variance);
    }

    fn left(&mut self, at: &str, list: &List, b: &Spot<'a>, old: &Spot<'a>, last: bool) {
        let text = format!("{} {} is gone", list.keyword, name(old, 0));
        if list.keyword == "allOf" && old.clone().resolved(self.graph.base).trivial() {
            return self.aspect(at, b, "all-of-removed-annotation-only", text);
        }
        let variance = (last && list.keyword != "allOf").then_some(Variance::Unproven);
        self.find(at, b, What::Aspect(list.removed), text, super::Access::default(), variance);
    }

    /// Whether an alternative cannot be mistaken for another: a discriminator or its type says so.
    fn disjoint(&self, new: &Spot<'a>, all: &[Spot<'a>], whole: &Spot<'a>) -> bool {
        let kind = |spot: &Spot<'a>| {
            let resolved = spot.clone().resolved(self.graph.revision);
            resolved.kind(self.graph.revision).types
        };
        let own = kind(new);
        let apart = |other: &Spot<'a>| {
            let others = kind(other);
            let number = |name: &String| matches!(name.as_str(), "integer" | "number");
            let overlap = own.intersection(&others).next().is_some()
                || (own.iter().any(number) && others.iter().any(number));
            !own.is_empty() && !others.is_empty() && !overlap
        };
        whole.value.get("discriminator").is_some()
            || all.iter().filter(|other| other.pointer != new.pointer).all(apart)
    }

    /// Which member of one list is which of the other: by its reference, by its title, by being
    /// equal; and what is left over and has no name, if there is one of it on both sides.
    fn matched(&self, olds: &[Spot<'a>], news: &[Spot<'a>]) -> Vec<(usize, usize)> {
        let mut matched: Vec<(usize, usize)> = vec![];
        let mut left: BTreeSet<usize> = (0..olds.len()).collect();
        let mut new: BTreeSet<usize> = (0..news.len()).collect();
        for by in [By::Reference, By::Title, By::Value] {
            let mut known: HashMap<String, Vec<usize>> = HashMap::new();
            for place in new.iter().rev() {
                let key = by.key(&news[*place], self.graph.revision);
                known.entry(key.unwrap_or_default()).or_default().push(*place);
            }
            for old in left.clone() {
                let key = by.key(&olds[old], self.graph.base).filter(|key| !key.is_empty());
                if let Some(place) = key.and_then(|key| known.get_mut(&key)?.pop()) {
                    matched.push((old, place));
                    left.remove(&old);
                    new.remove(&place);
                }
            }
        }
        let unnamed = |spot: &Spot<'a>| spot.reference().is_none() && spot.text("title").is_none();
        if let (1, 1, Some(old), Some(new)) = (left.len(), new.len(), left.first(), new.first())
            && unnamed(&olds[*old])
            && unnamed(&news[*new])
        {
            matched.push((*old, *new));
        }
        matched
    }

    fn discriminator(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let key = "discriminator";
        let (old, new) = match (a.get(key), b.get(key)) {
            (None, None) => return,
            (None, Some(_)) => {
                let text = "a discriminator was added".to_owned();
                return self.aspect(at, b, "discriminator-added", text);
            }
            (Some(_), None) => {
                let text = "the discriminator is gone".to_owned();
                return self.aspect(at, b, "discriminator-removed", text);
            }
            (Some(old), Some(new)) => (old, new),
        };
        let name = |spot: &Spot<'a>| spot.text("propertyName").unwrap_or_default();
        if name(&old) != name(&new) {
            let text = format!("the discriminator is {} and was {}", name(&new), name(&old));
            self.aspect(at, b, "discriminator-property-name-changed", text);
        }
        let (before, now) = (old.entries("mapping"), new.entries("mapping"));
        for (value, to) in &now {
            let text = match before.iter().find(|(other, _)| other == value) {
                None => {
                    let text = format!("the discriminator knows {value} now");
                    self.aspect(at, b, "discriminator-mapping-added", text);
                    continue;
                }
                Some((_, from)) if from.value == to.value => continue,
                Some((_, from)) => format!("{value} means {} and meant {}", to.value, from.value),
            };
            self.aspect(at, b, "discriminator-mapping-changed", text);
        }
        for (value, _) in before.iter().filter(|(v, _)| !now.iter().any(|(other, _)| other == v)) {
            let text = format!("the discriminator no longer knows {value}");
            self.aspect(at, b, "discriminator-mapping-deleted", text);
        }
    }
}

/// `Dog`, a title, or its place in the list.
fn name(spot: &Spot<'_>, place: usize) -> String {
    let reference = spot.reference().and_then(|to| to.rsplit('/').next());
    reference.or_else(|| spot.text("title")).map_or_else(|| place.to_string(), str::to_owned)
}
