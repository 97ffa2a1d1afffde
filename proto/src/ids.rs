//! Names that may stand in a subject. Each is checked once, where it enters.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::limits::{ID_MAX_CHARS, PARTITIONS};

/// Why a string is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?}: use 1 to {ID_MAX_CHARS} of {allowed}")]
pub struct InvalidId {
    what: &'static str,
    text: String,
    allowed: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as it stands in subjects.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check($what, text, "a-z 0-9 -", |c| c == '-')?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// One execution of one plan.
    WorkflowId,
    "workflow id"
);
id!(
    /// One task of a plan, unique within it.
    TaskId,
    "task id"
);
id!(
    /// One of the specialists: `db`, `performance`.
    SpecialistName,
    "specialist"
);
id!(
    /// A system under change: `shop`.
    TargetName,
    "target"
);

impl WorkflowId {
    /// The partition that decides this workflow: FNV-1a of the id, modulo [`PARTITIONS`].
    pub fn partition(&self) -> u16 {
        let hash = self
            .0
            .bytes()
            .fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of a u16 fits a u16")]
        let partition = (hash % u32::from(PARTITIONS)) as u16;
        partition
    }
}

/// What a specialist can do: `db.create_index`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CapabilityName {
    specialist: SpecialistName,
    verb: String,
}

impl CapabilityName {
    /// Who does it.
    pub fn specialist(&self) -> &SpecialistName {
        &self.specialist
    }

    /// What is done: `create_index`.
    pub fn verb(&self) -> &str {
        &self.verb
    }
}

impl FromStr for CapabilityName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (specialist, verb) = text.split_once('.').ok_or_else(|| InvalidId {
            what: "capability",
            text: cut(text),
            allowed: "the form specialist.verb",
        })?;
        check("capability", verb, "a-z 0-9 _ after the dot", |c| c == '_')?;
        Ok(Self { specialist: specialist.parse()?, verb: verb.to_owned() })
    }
}

impl TryFrom<String> for CapabilityName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<CapabilityName> for String {
    fn from(name: CapabilityName) -> String {
        name.to_string()
    }
}

impl fmt::Display for CapabilityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.specialist, self.verb)
    }
}

fn check(
    what: &'static str,
    text: &str,
    allowed: &'static str,
    extra: impl Fn(char) -> bool,
) -> Result<(), InvalidId> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || extra(c);
    if text.is_empty() || text.len() > ID_MAX_CHARS || !text.chars().all(legal) {
        return Err(InvalidId { what, text: cut(text), allowed });
    }
    Ok(())
}

fn cut(text: &str) -> String {
    text.chars().take(ID_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_a_subject_token_may_be() {
        for good in ["a", "wf-01", "0", &"x".repeat(64)] {
            assert_eq!(good.parse::<WorkflowId>().map(String::from).as_deref(), Ok(good));
        }
        for bad in ["", "A", "a.b", "a b", "a*", ">", "ü", "a_b", &"x".repeat(65)] {
            assert!(bad.parse::<WorkflowId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_capability_is_specialist_dot_verb() {
        let name: CapabilityName = "db.create_index".parse().unwrap();
        assert_eq!((name.specialist().as_str(), name.verb()), ("db", "create_index"));
        for bad in ["db", "db.", ".x", "db.a.b", "db.A", "d b.x"] {
            assert!(bad.parse::<CapabilityName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_partition_of_an_id_never_changes() {
        let partition = |id: &str| id.parse::<WorkflowId>().unwrap().partition();
        assert_eq!((partition("a"), partition("wf-1"), partition("checkout")), (4, 2, 1));
    }
}
