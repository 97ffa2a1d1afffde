//! Types and formats: which of two admits more.

use std::collections::BTreeSet;

use crate::diff::rules::Place;

/// The types and the format of a schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::diff) struct Kind {
    /// Without `null`; empty when every type is admitted.
    pub(in crate::diff) types: BTreeSet<String>,
    pub(in crate::diff) format: Option<String>,
    /// Of an array whose length is free: the kind of its unconstrained items.
    pub(in crate::diff) items: Option<Box<Kind>>,
}

/// How values are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::diff) enum Wire {
    /// Types can be told apart.
    Json,
    /// XML, forms, plain text: everything is text.
    Loose,
    /// A parameter or a header: primitives are text.
    Text {
        /// Whether an array of one is written as the one.
        exploded: bool,
    },
}

/// Which of two sets is larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Same,
    Wider,
    Narrower,
    Other,
}

impl Kind {
    /// `string(date)`, `integer or number`, `anything`
    pub(in crate::diff) fn in_words(&self) -> String {
        let types: Vec<&str> = self.types.iter().map(String::as_str).collect();
        let types = if types.is_empty() { "anything".to_owned() } else { types.join(" or ") };
        self.format.as_ref().map_or(types.clone(), |format| format!("{types}({format})"))
    }
}

/// The aspect that tells how a kind changed at a place; none when nothing can be seen of it.
pub(in crate::diff) fn aspect(
    from: &Kind,
    to: &Kind,
    place: Place,
    wire: Wire,
) -> Option<&'static str> {
    let request = matches!(
        place,
        Place::RequestBody | Place::RequestProperty | Place::Parameter | Place::ParameterProperty
    );
    let good = |relation| match relation {
        Relation::Same => true,
        Relation::Wider => request,
        Relation::Narrower => !request,
        Relation::Other => false,
    };
    let strict = relation(from, to, Wire::Json);
    let relation = relation(from, to, wire);
    let by_text_only = good(relation) && !good(strict);
    let removed = !from.types.is_empty() && to.types.is_empty();
    match relation {
        Relation::Same if strict == Relation::Same => None,
        Relation::Same => Some("type-compatible"),
        _ if by_text_only && place != Place::Parameter && place != Place::ParameterProperty => {
            Some("type-compatible")
        }
        // Nothing is promised any more.
        Relation::Wider if removed && !request => Some("type-changed"),
        Relation::Wider => Some("type-generalized"),
        Relation::Narrower if !request || place == Place::ParameterProperty => {
            Some("type-specialized")
        }
        Relation::Narrower | Relation::Other => Some("type-changed"),
    }
}

fn relation(from: &Kind, to: &Kind, wire: Wire) -> Relation {
    if from == to {
        return Relation::Same;
    }
    let wider = covers(to, from, wire);
    let narrower = covers(from, to, wire);
    match (wider, narrower) {
        (true, true) => Relation::Same,
        (true, false) => Relation::Wider,
        (false, true) => Relation::Narrower,
        (false, false) => Relation::Other,
    }
}

/// Whether everything of `inner` is in `outer` as well.
fn covers(outer: &Kind, inner: &Kind, wire: Wire) -> bool {
    if outer.types.is_empty() {
        return format_covers(outer, inner, wire);
    }
    if inner.types.is_empty() {
        return false;
    }
    // `?a=1` is an array of one where arrays are exploded.
    if let (Wire::Text { exploded: true }, Some(items)) = (wire, &outer.items)
        && inner.types.iter().all(|t| primitive(t))
    {
        return covers(items, inner, wire);
    }
    let covered = |t: &String| outer.types.iter().any(|o| type_covers(o, t, wire));
    inner.types.iter().all(covered) && format_covers(outer, inner, wire)
}

fn type_covers(outer: &str, inner: &str, wire: Wire) -> bool {
    let as_text = match wire {
        Wire::Json => false,
        Wire::Loose => outer == "string",
        Wire::Text { .. } => outer == "string" && primitive(inner),
    };
    outer == inner || (outer == "number" && inner == "integer") || as_text
}

fn format_covers(outer: &Kind, inner: &Kind, wire: Wire) -> bool {
    match (outer.format.as_deref(), inner.format.as_deref()) {
        (None, _) | (Some("int64"), Some("int32")) | (Some("double"), Some("float")) => true,
        (Some(a), Some(b)) => a == b && (wire != Wire::Json || outer.types == inner.types),
        (Some(_), None) => false,
    }
}

fn primitive(name: &str) -> bool {
    matches!(name, "string" | "number" | "integer" | "boolean")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Kind {
        let (types, format) = text.split_once('/').map_or((text, None), |(t, f)| (t, Some(f)));
        let types = types.split('|').filter(|t| !t.is_empty()).map(str::to_owned).collect();
        Kind { types, format: format.map(str::to_owned), items: None }
    }

    #[test]
    fn requests_may_widen_and_responses_may_narrow() {
        for (from, to, request, response) in [
            ("string", "string", None, None),
            ("integer", "number", Some("type-generalized"), Some("type-generalized")),
            ("number", "integer", Some("type-changed"), Some("type-specialized")),
            ("string", "integer", Some("type-changed"), Some("type-changed")),
            ("string", "", Some("type-generalized"), Some("type-changed")),
            ("", "string", Some("type-changed"), Some("type-specialized")),
            ("string", "string|integer", Some("type-generalized"), Some("type-generalized")),
            ("string/date", "string", Some("type-generalized"), Some("type-generalized")),
            ("string", "string/date", Some("type-changed"), Some("type-specialized")),
            ("integer/int32", "integer/int64", Some("type-generalized"), Some("type-generalized")),
            ("string/date", "string/uuid", Some("type-changed"), Some("type-changed")),
        ] {
            let aspect = |place| aspect(&kind(from), &kind(to), place, Wire::Json);
            assert_eq!(aspect(Place::RequestBody), request, "{from} -> {to}");
            assert_eq!(aspect(Place::ResponseBody), response, "{from} -> {to}");
        }
    }

    #[test]
    fn where_everything_is_text_a_string_admits_it() {
        let text = Wire::Text { exploded: true };
        let array = Kind { items: Some(Box::new(kind("string"))), ..kind("array") };
        let at = |from: &Kind, to: &Kind| aspect(from, to, Place::Parameter, text);
        assert_eq!(at(&kind("integer"), &kind("string")), Some("type-generalized"));
        assert_eq!(at(&kind("string|integer"), &array), Some("type-generalized"));
        assert_eq!(at(&kind("string"), &kind("array")), Some("type-changed"));
        assert_eq!(at(&kind("string"), &kind("integer")), Some("type-changed"));
        let xml = |from, to| aspect(&kind(from), &kind(to), Place::RequestBody, Wire::Loose);
        assert_eq!(xml("object", "string"), Some("type-compatible"));
        assert_eq!(xml("string", "object"), Some("type-changed"));
    }
}
