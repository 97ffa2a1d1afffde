//! From what was found on schemas to what callers of an operation are told.

use super::{
    change::{Change, Level},
    rules::{self, Direction, Place, Rule, Variance},
    schema::{Finding, Graph, Node, Property, Turn, What, types, types::Wire},
};

/// More changes than this nobody reads, and they would fill the memory: two large documents that
/// have nothing in common make millions.
const CHANGES_MAX: usize = 50_000;

/// A pair of schemas as an operation uses it.
#[derive(Debug, Clone)]
pub(super) struct Usage {
    /// `POST /orders`
    pub(super) operation: String,
    /// `request body application/json`
    pub(super) at: String,
    pub(super) place: Place,
    pub(super) wire: Wire,
    /// Of a request: some ids have it.
    pub(super) header: bool,
    /// The pair.
    pub(super) node: usize,
}

/// A way into the graph, by the step before.
#[derive(Debug, Clone, Copy)]
struct Step<'g> {
    node: usize,
    from: Option<usize>,
    at: &'g str,
    /// Whether the node is all that the operation uses, and not a part of it.
    whole: bool,
}

/// Everything that reaches the operations, in their order.
pub(super) fn report(graph: &Graph<'_>, usages: &[Usage]) -> Vec<Change> {
    let dirty = dirty(&graph.nodes);
    let mut changes = vec![];
    // Per node: the last usage that came by, as a part of it and as the whole of it.
    let mut seen = vec![[0, 0]; graph.nodes.len()];
    let mut steps: Vec<Step<'_>> = vec![];
    for (number, usage) in usages.iter().enumerate() {
        steps.clear();
        steps.push(Step { node: usage.node, from: None, at: "", whole: true });
        seen[usage.node][usize::from(true)] = number + 1;
        // The list grows while it is read: the shortest ways come first.
        let mut next = 0;
        while let Some(step) = steps.get(next).copied() {
            let Node { findings, edges } = &graph.nodes[step.node];
            if !findings.is_empty() {
                let path = path(&steps, next);
                changes.extend(findings.iter().filter_map(|finding| change(usage, &path, finding)));
            }
            if changes.len() > CHANGES_MAX {
                changes.push(not_listed(usage));
                return changes;
            }
            for (at, to) in edges {
                let whole = step.whole && at.is_empty();
                let last = &mut seen[*to][usize::from(whole)];
                if dirty[*to] && std::mem::replace(last, number + 1) != number + 1 {
                    steps.push(Step { node: *to, from: Some(next), at, whole });
                }
            }
            next += 1;
        }
    }
    changes
}

/// `/lines/items/sku`: where a step leads to.
fn path(steps: &[Step<'_>], last: usize) -> String {
    let way = std::iter::successors(Some(last), |step| steps[*step].from);
    let mut parts: Vec<&str> = way.map(|step| steps[step].at).collect();
    parts.reverse();
    parts.concat()
}

/// Stands for all that is left, and is breaking: nobody has seen it.
fn not_listed(usage: &Usage) -> Change {
    let id = "changes-not-listed";
    Change {
        id: id.to_owned(),
        level: Level::Error,
        breaking: true,
        operation: usage.operation.clone(),
        at: usage.at.clone(),
        pointer: String::new(),
        text: format!("over {CHANGES_MAX} changes: from here on nothing was listed"),
    }
}

/// Which nodes lead to a finding.
fn dirty(nodes: &[Node]) -> Vec<bool> {
    let mut referred: Vec<Vec<usize>> = vec![vec![]; nodes.len()];
    for (from, node) in nodes.iter().enumerate() {
        for (_, to) in &node.edges {
            referred[*to].push(from);
        }
    }
    let mut dirty: Vec<bool> = nodes.iter().map(|node| !node.findings.is_empty()).collect();
    let mut open: Vec<usize> = (0..nodes.len()).filter(|node| dirty[*node]).collect();
    while let Some(node) = open.pop() {
        for from in &referred[node] {
            if !std::mem::replace(&mut dirty[*from], true) {
                open.push(*from);
            }
        }
    }
    dirty
}

fn change(usage: &Usage, path: &str, finding: &Finding) -> Option<Change> {
    let whole = path.is_empty() && finding.at.is_empty();
    let place = if whole { usage.place } else { usage.place.inside() };
    let (id, rule) = match &finding.what {
        What::Aspect("xml-changed") if usage.wire != Wire::Loose => return None,
        What::Aspect(aspect) => aspect_of(aspect, place, usage, finding),
        What::Type(kinds) => {
            let aspect = types::aspect(&kinds.0, &kinds.1, place, usage.wire)?;
            (format!("{}-{aspect}", place.prefix()), rules::aspect(aspect, place))
        }
        What::Property(property) => property_of(property, place, usage)?,
    };
    let at = format!("{} {path}{}", usage.at, finding.at);
    Some(Change {
        id,
        level: rule.level,
        breaking: rule.breaking,
        operation: usage.operation.clone(),
        at: at.trim_end().to_owned(),
        pointer: finding.pointer.clone(),
        text: finding.text.clone(),
    })
}

fn aspect_of(
    aspect: &'static str,
    place: Place,
    usage: &Usage,
    finding: &Finding,
) -> (String, Rule) {
    let special = match (aspect, place) {
        ("enum-value-removed", Place::ResponseBody) => {
            Some("response-mediatype-enum-value-removed".to_owned())
        }
        ("became-enum", Place::ParameterProperty) if usage.header => {
            Some("request-header-property-became-enum".to_owned())
        }
        ("enum-value-added", Place::ResponseProperty) if finding.access.write_only => {
            Some("response-write-only-property-enum-value-added".to_owned())
        }
        (_, Place::RequestProperty) if finding.access.read_only => {
            let id = format!("request-read-only-property-{aspect}");
            rules::of(&id).map(|_| id)
        }
        _ => None,
    };
    if let Some(id) = special {
        let rule = rules::named(&id);
        return (id, rule);
    }
    // A response has no name for a pattern that became free; its callers may break all the same.
    let aspect = match (aspect, place.direction()) {
        ("pattern-generalized", Direction::Response) => "pattern-changed",
        (aspect, Direction::Request | Direction::Response) => aspect,
    };
    let rule = rules::aspect(aspect, place);
    let rule = finding.variance.map_or(rule, |variance| judged(rule, variance, place));
    (format!("{}-{aspect}", rules::named_place(aspect, place).prefix()), rule)
}

/// The same rule where the variance is known better.
fn judged(rule: Rule, variance: Variance, place: Place) -> Rule {
    let breaking = variance.breaks(place.direction()) || rule.level > Level::Info;
    Rule { breaking, ..rule }
}

fn property_of(property: &Property, place: Place, usage: &Usage) -> Option<(String, Rule)> {
    let id = match place.direction() {
        Direction::Request => request_property(property, place, usage.header)?,
        Direction::Response => response_property(property),
    };
    let rule = rules::named(&id);
    // Callers of an object that admitted nothing else may refuse what was added.
    let closed = property.closed
        && property.turn == Turn::Added
        && place.direction() == Direction::Response
        && !property.access.write_only;
    Some((id, Rule { breaking: rule.breaking || closed, ..rule }))
}

fn request_property(property: &Property, place: Place, header: bool) -> Option<String> {
    let kind = if place == Place::ParameterProperty { "parameter-property" } else { "property" };
    let demanded = property.required && !property.access.read_only;
    Some(match property.turn {
        Turn::Added if demanded && header => "new-required-request-header-property".to_owned(),
        Turn::Added if demanded && property.default && kind == "property" => {
            "new-required-request-property-with-default".to_owned()
        }
        Turn::Added if demanded => format!("new-required-request-{kind}"),
        Turn::Added => format!("new-optional-request-{kind}"),
        Turn::Removed => format!("request-{kind}-removed"),
        Turn::BecameRequired if property.access.read_only => return None,
        Turn::BecameRequired if header => "request-header-property-became-required".to_owned(),
        Turn::BecameRequired if property.default && kind == "property" => {
            "request-property-became-required-with-default".to_owned()
        }
        Turn::BecameRequired => format!("request-{kind}-became-required"),
        Turn::BecameOptional => format!("request-{kind}-became-optional"),
        Turn::ReadOnly(now) => access_turn("request", property, now, "read-only"),
        Turn::WriteOnly(now) => access_turn("request", property, now, "write-only"),
    })
}

fn response_property(property: &Property) -> String {
    let need = if property.required { "required" } else { "optional" };
    let hidden = if property.access.write_only { "write-only-" } else { "" };
    match property.turn {
        Turn::Added => format!("response-{need}-{hidden}property-added"),
        Turn::Removed => format!("response-{need}-{hidden}property-removed"),
        Turn::BecameRequired => format!("response-{hidden}property-became-required"),
        Turn::BecameOptional => format!("response-{hidden}property-became-optional"),
        Turn::ReadOnly(now) => access_turn("response", property, now, "read-only"),
        Turn::WriteOnly(now) => access_turn("response", property, now, "write-only"),
    }
}

fn access_turn(side: &str, property: &Property, now: bool, what: &str) -> String {
    let need = if property.required { "required" } else { "optional" };
    let not = if now { "" } else { "not-" };
    format!("{side}-{need}-property-became-{not}{what}")
}
