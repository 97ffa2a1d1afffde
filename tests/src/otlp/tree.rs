//! How spans hang together. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::Span;

/// A span and what belongs under it, by start time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The span at the top.
    pub span: Span,
    /// What belongs under it.
    pub children: Vec<Tree>,
}

/// Draws it, one span a line, children further in.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.draw(f, 0)
    }
}

impl Tree {
    fn draw(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let Span { name, kind, service, .. } = &self.span;
        writeln!(f, "{:indent$}{name} ({kind}, {service})", "", indent = depth * 2)?;
        self.children.iter().try_for_each(|child| child.draw(f, depth + 1))
    }
}

/// All spans as trees. At the top of each stands a root, or a span whose parent is not there.
pub fn trees(spans: &[Span]) -> Vec<Tree> {
    let known = known(spans);
    let mut under: BTreeMap<Option<Key<'_>>, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        under.entry(parent(span).filter(|parent| known.contains(parent))).or_default().push(span);
    }
    for siblings in under.values_mut() {
        siblings.sort_by_key(|span| span.start_unix_ns);
    }
    grow(&mut under, None)
}

/// The spans of a trace that name a parent which is not in it.
pub fn orphans<'a>(spans: &'a [Span], trace_id: &str) -> Vec<&'a Span> {
    let known = known(spans);
    let lost = |span: &&Span| parent(span).is_some_and(|parent| !known.contains(&parent));
    spans.iter().filter(|span| span.trace_id == trace_id).filter(lost).collect()
}

/// How many spans of a trace each service sent.
pub fn per_service<'a>(spans: &'a [Span], trace_id: &str) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for span in spans.iter().filter(|span| span.trace_id == trace_id) {
        *counts.entry(span.service.as_str()).or_default() += 1;
    }
    counts
}

/// Trace and span: a span id alone is unique in its trace only.
type Key<'a> = (&'a str, &'a str);

fn parent(span: &Span) -> Option<Key<'_>> {
    span.parent_span_id.as_deref().map(|parent| (span.trace_id.as_str(), parent))
}

fn known(spans: &[Span]) -> BTreeSet<Key<'_>> {
    spans.iter().map(|span| (span.trace_id.as_str(), span.span_id.as_str())).collect()
}

/// Takes out of `under` what it grows, so that a span sent twice has its children once.
fn grow<'a>(
    under: &mut BTreeMap<Option<Key<'a>>, Vec<&'a Span>>,
    at: Option<Key<'a>>,
) -> Vec<Tree> {
    let siblings = under.remove(&at).unwrap_or_default();
    siblings
        .into_iter()
        .map(|span| Tree {
            span: span.clone(),
            children: grow(under, Some((&span.trace_id, &span.span_id))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `span/parent@service`, in the trace `t` unless another stands before a colon.
    fn spans(texts: &[&str]) -> Vec<Span> {
        let read = |(start, text): (usize, &&str)| {
            let (trace, text) = text.split_once(':').unwrap_or(("t", text));
            let (ids, service) = text.split_once('@').unwrap();
            let (id, parent) = ids.split_once('/').unwrap();
            Span {
                trace_id: trace.to_owned(),
                span_id: id.to_owned(),
                parent_span_id: (!parent.is_empty()).then(|| parent.to_owned()),
                name: id.to_owned(),
                kind: "internal",
                service: service.to_owned(),
                start_unix_ns: u64::try_from(start).unwrap(),
                ..Span::default()
            }
        };
        texts.iter().enumerate().map(read).collect()
    }

    fn drawn(spans: &[Span]) -> String {
        trees(spans).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_trace_of_two_services_is_one_tree() {
        // The root is exported last, as it ends last.
        let mut spans = spans(&["root/@cli", "a/root@db", "b/root@db", "c/a@db"]);
        spans.rotate_left(1);
        let text =
            "root (internal, cli)\n  a (internal, db)\n    c (internal, db)\n  b (internal, db)\n";
        assert_eq!(drawn(&spans), text);
        assert!(orphans(&spans, "t").is_empty());
        assert_eq!(per_service(&spans, "t"), BTreeMap::from([("cli", 1), ("db", 3)]));
    }

    #[test]
    fn a_parent_in_another_trace_is_no_parent() {
        let spans = spans(&["root/@cli", "other:a/root@db", "b/gone@db"]);
        assert_eq!(trees(&spans).len(), 3);
        let lost: Vec<_> = orphans(&spans, "t").iter().map(|s| s.span_id.as_str()).collect();
        assert_eq!(lost, ["b"]);
        assert_eq!(orphans(&spans, "other").len(), 1);
        assert_eq!(per_service(&spans, "other"), BTreeMap::from([("db", 1)]));
    }

    #[test]
    fn a_circle_and_a_span_sent_twice_end() {
        assert_eq!(trees(&spans(&["a/b@x", "b/a@x"])), []);
        let twice = trees(&spans(&["a/@x", "a/@x", "b/a@x"]));
        assert_eq!(twice.iter().map(|tree| tree.children.len()).collect::<Vec<_>>(), [1, 0]);
    }
}
