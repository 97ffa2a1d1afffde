//! Faults on demand: each strikes once, where it was set.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is done, and the connection ends before the answer.
    LostAnswer,
    /// It is done, and the answer never comes.
    Hang,
    /// Nothing is done; 500, kept under the request's key.
    ServerError,
    /// It is done; the answer is 500 all the same, kept under the request's key.
    ServerErrorAfter,
    /// Nothing is done; 429, not kept.
    TooManyRequests,
}

/// Where a fault waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trap {
    /// What goes wrong.
    pub fault: Fault,
    /// `POST`
    pub method: String,
    /// How the path begins: `/v1/prices`; `/` is every path.
    pub path: String,
    /// How many such requests are let through before.
    #[serde(default)]
    pub skip: u32,
}

/// The fault that strikes this request, if one does; every trap that it passes counts.
pub(crate) fn strike(traps: &mut Vec<Trap>, method: &str, path: &str) -> Option<Fault> {
    let mut struck = None;
    traps.retain_mut(|trap| {
        let here = trap.method == method && path.starts_with(&trap.path);
        match (here, trap.skip, struck) {
            (true, 0, None) => {
                struck = Some(trap.fault);
                false
            }
            (true, skip, _) => {
                trap.skip = skip.saturating_sub(1);
                true
            }
            (false, _, _) => true,
        }
    });
    struck
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_once_and_only_where_it_waits() {
        let trap = |path: &str, skip| Trap {
            fault: Fault::TooManyRequests,
            method: "POST".to_owned(),
            path: path.to_owned(),
            skip,
        };
        let mut traps = vec![trap("/v1/prices", 1)];
        assert_eq!(strike(&mut traps, "GET", "/v1/prices"), None);
        assert_eq!(strike(&mut traps, "POST", "/v1/products"), None);
        assert_eq!(strike(&mut traps, "POST", "/v1/prices"), None);
        assert_eq!(strike(&mut traps, "POST", "/v1/prices/p"), Some(Fault::TooManyRequests));
        assert_eq!(strike(&mut traps, "POST", "/v1/prices"), None);
    }
}
