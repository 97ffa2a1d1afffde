//! The digest of a value: what tells whether something is still what it was.

use deadelus_mesh::objects;
use deadelus_proto::{Sha256, canonical};
use serde::Serialize;
use serde_json::json;

/// SHA-256 of the canonical JSON text: equal for equal values, in whatever order their keys come and
/// whatever build asks. It is what undo records hold, so its rule must never change.
///
/// # Panics
/// For what has no JSON: a map whose keys are no text.
pub fn fingerprint(value: &impl Serialize) -> Sha256 {
    objects::sha256(canonical::text(&json!(value)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_fields_does_not_matter_and_that_of_items_does() {
        #[derive(Serialize)]
        struct Table {
            name: &'static str,
            columns: [u8; 2],
        }
        // printf '{"columns":[1,2],"name":"t"}' | sha256sum
        let known = "4cdbb5b2603bcfa71d9fa99e4293d3923f187d629a60ccebc49e496c1b5a8a41";
        assert_eq!(fingerprint(&Table { name: "t", columns: [1, 2] }).to_string(), known);
        assert_eq!(fingerprint(&json!({"columns": [1, 2], "name": "t"})).to_string(), known);
        assert_ne!(fingerprint(&json!({"columns": [2, 1], "name": "t"})).to_string(), known);
    }
}
