//! Bounds of numbers, texts, arrays and objects.

use serde_json::Value;

use super::{Pair, view::Spot};
use crate::document::Version;

/// `(keyword, what it means when it is not there, aspects)`. The aspects: it came, it went, it
/// grew, it shrank; where absence means a number, it only grows and shrinks.
const LIMITS: [(&str, Option<f64>, [&str; 4]); 12] = [
    ("maximum", None, ["max-set", "max-unset", "max-increased", "max-decreased"]),
    ("minimum", None, ["min-set", "min-unset", "min-increased", "min-decreased"]),
    (
        "exclusiveMaximum",
        None,
        [
            "exclusive-max-set",
            "exclusive-max-unset",
            "exclusive-max-increased",
            "exclusive-max-decreased",
        ],
    ),
    (
        "exclusiveMinimum",
        None,
        [
            "exclusive-min-set",
            "exclusive-min-unset",
            "exclusive-min-increased",
            "exclusive-min-decreased",
        ],
    ),
    (
        "maxLength",
        None,
        ["max-length-set", "max-length-unset", "max-length-increased", "max-length-decreased"],
    ),
    ("minLength", Some(0.0), ["", "", "min-length-increased", "min-length-decreased"]),
    (
        "maxItems",
        None,
        ["max-items-set", "max-items-unset", "max-items-increased", "max-items-decreased"],
    ),
    (
        "minItems",
        None,
        ["min-items-set", "min-items-unset", "min-items-increased", "min-items-decreased"],
    ),
    (
        "maxProperties",
        None,
        [
            "max-properties-set",
            "max-properties-unset",
            "max-properties-increased",
            "max-properties-decreased",
        ],
    ),
    ("minProperties", Some(0.0), ["", "", "min-properties-increased", "min-properties-decreased"]),
    (
        "maxContains",
        Some(f64::INFINITY),
        ["", "", "max-contains-increased", "max-contains-decreased"],
    ),
    ("minContains", Some(1.0), ["", "", "min-contains-increased", "min-contains-decreased"]),
];

impl<'a> Pair<'_, 'a> {
    /// Every bound, and `multipleOf` and `uniqueItems`, which are bounds of another kind.
    pub(super) fn limits(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let versions = (self.graph.base.version(), self.graph.revision.version());
        for (keyword, default, [set, unset, increased, decreased]) in LIMITS {
            let (from, to) = (limit(a, keyword, versions.0), limit(b, keyword, versions.1));
            let aspect = match (from.or(default), to.or(default)) {
                (None, Some(_)) => set,
                (Some(_), None) => unset,
                (Some(from), Some(to)) if to > from => increased,
                (Some(from), Some(to)) if to < from => decreased,
                (None, None) | (Some(_), Some(_)) => {
                    self.beyond_floats(at, a, b, keyword);
                    continue;
                }
            };
            let shown =
                |number: Option<f64>| number.map_or("nothing".to_owned(), |n| n.to_string());
            let text = format!("{keyword} changed from {} to {}", shown(from), shown(to));
            self.aspect(at, b, aspect, text);
        }
        let multiple = |spot: &Spot<'a>| spot.value.get("multipleOf");
        match (multiple(a), multiple(b)) {
            (None, Some(to)) => {
                self.aspect(at, b, "multiple-of-set", format!("it must be a multiple of {to}"));
            }
            (Some(_), None) => {
                self.aspect(at, b, "multiple-of-removed", "multipleOf is gone".to_owned());
            }
            (Some(from), Some(to)) if from != to => {
                let text = format!("multipleOf changed from {from} to {to}");
                self.aspect(at, b, "multiple-of-changed", text);
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        match (a.flag("uniqueItems"), b.flag("uniqueItems")) {
            (false, true) => {
                self.aspect(at, b, "unique-items-set", "items must be unique now".to_owned());
            }
            (true, false) => {
                self.aspect(at, b, "unique-items-removed", "items may repeat now".to_owned());
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Large whole numbers can differ and be equal as floating-point numbers.
    fn beyond_floats(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>, keyword: &'static str) {
        let number = |spot: &Spot<'a>| spot.value.get(keyword).filter(|v| v.is_i64() || v.is_u64());
        if let (Some(from), Some(to)) = (number(a), number(b))
            && from != to
        {
            let text = format!("{keyword} changed from {from} to {to}");
            self.aspect(at, b, "keyword-changed", text);
        }
    }

    /// A text's pattern.
    pub(super) fn pattern(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let (aspect, text) = match (a.text("pattern"), b.text("pattern")) {
            (None, Some(to)) => ("pattern-added", format!("pattern {to:?} was added")),
            (Some(from), None) => ("pattern-removed", format!("pattern {from:?} is gone")),
            (Some(from), Some(to)) if from != to => {
                let all = matches!(to, ".*" | "^.*$" | "^.*" | ".*$" | "");
                let text = format!("pattern changed from {from:?} to {to:?}");
                (if all { "pattern-generalized" } else { "pattern-changed" }, text)
            }
            (None, None) | (Some(_), Some(_)) => return,
        };
        self.aspect(at, b, aspect, text);
    }
}

/// A bound as a number. In 3.0 `exclusiveMaximum: true` makes `maximum` exclusive.
fn limit(spot: &Spot<'_>, keyword: &str, version: Version) -> Option<f64> {
    let counted = matches!(keyword, "maxContains" | "minContains");
    if counted && spot.value.get("contains").is_none() {
        return None;
    }
    let exclusive = |flag| spot.value.get(flag) == Some(&Value::Bool(true));
    match (version, keyword) {
        (Version::V3_0, "exclusiveMaximum") => {
            spot.number("maximum").filter(|_| exclusive("exclusiveMaximum"))
        }
        (Version::V3_0, "exclusiveMinimum") => {
            spot.number("minimum").filter(|_| exclusive("exclusiveMinimum"))
        }
        (Version::V3_0, "maximum") if exclusive("exclusiveMaximum") => None,
        (Version::V3_0, "minimum") if exclusive("exclusiveMinimum") => None,
        // An array never has less than nothing.
        (_, "minItems") => spot.number(keyword).filter(|least| *least > 0.0),
        _ => spot.number(keyword),
    }
}
