//! Who is to run, as plain values: names, programs, order.

use std::{ffi::OsString, path::Path};

use super::process::Program;
use crate::{error::CliError, home::Home};

/// The eight, in the order of the architecture.
pub(crate) const SPECIALISTS: [&str; 8] =
    ["db", "api", "payments", "auth", "security", "performance", "testing", "deployment"];

/// The decider.
pub(crate) const ORCHESTRATOR: &str = "orchestrator";

/// The fabric.
pub(crate) const NATS: &str = "nats";

/// More replicas than this on one machine are a typing mistake.
const REPLICAS_MAX: usize = 64;

/// One process of the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// `db`, or `db-2` for a further replica.
    pub(crate) name: String,
    /// `db`: the program's and the configuration's name.
    pub(crate) kind: &'static str,
}

impl Member {
    /// The program beside our own, with its configuration.
    pub(crate) fn program(&self, beside: &Path, home: &Home, url: &str) -> Program {
        let config = home.config(self.kind);
        Program {
            path: beside.join(format!("deadelus-{}", self.kind)),
            arguments: vec![OsString::from("--config"), config.into()],
            environment: vec![("DEADELUS_NATS__URL", url.to_owned())],
            log: home.log(&self.name),
        }
    }
}

/// Everybody but NATS, the orchestrator first.
///
/// # Errors
/// [`CliError::Usage`] for a name or number that makes no sense.
pub(crate) fn members(scale: &[(String, usize)]) -> Result<Vec<Member>, CliError> {
    let kinds = || [ORCHESTRATOR].into_iter().chain(SPECIALISTS);
    for (name, count) in scale {
        if !kinds().any(|kind| kind == name) {
            let known = kinds().collect::<Vec<_>>().join(", ");
            return Err(CliError::Usage(format!("--scale {name}: there are {known}")));
        }
        if *count > REPLICAS_MAX {
            return Err(CliError::Usage(format!("--scale {name}={count}: at most {REPLICAS_MAX}")));
        }
    }
    let count = |kind: &str| scale.iter().rev().find(|(n, _)| n == kind).map_or(1, |(_, c)| *c);
    let members = kinds().flat_map(|kind| {
        (1..=count(kind)).map(move |n| Member {
            name: if n == 1 { kind.to_owned() } else { format!("{kind}-{n}") },
            kind,
        })
    });
    Ok(members.collect())
}

/// In which wave a process is stopped: who works first, who decides next, the fabric last.
pub(crate) fn stop_wave(name: &str) -> usize {
    match name {
        NATS => 2,
        _ if name.starts_with(ORCHESTRATOR) => 1,
        _ => 0,
    }
}

/// What a configuration file says that nobody has edited yet.
pub(crate) fn config_template(kind: &str) -> String {
    let mut text = format!(
        "# Configuration of deadelus-{kind}. Every key has a default; the ones in force:\n\
         #     deadelus-{kind} --print-config --config THIS_FILE\n"
    );
    if SPECIALISTS.contains(&kind) {
        text.push_str(
            "# The systems it may look at and change, by name; credentials stay in this file:\n\
             #     [targets.shop]\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_processes_and_their_replicas() {
        let names = |scale: &[(String, usize)]| -> Vec<String> {
            members(scale).unwrap().into_iter().map(|m| m.name).collect()
        };
        assert_eq!(names(&[]).len(), 9);
        assert_eq!(names(&[])[0], ORCHESTRATOR);
        let scaled = names(&[("db".to_owned(), 3), ("auth".to_owned(), 0)]);
        assert_eq!(scaled[1..4], ["db", "db-2", "db-3"]);
        assert!(!scaled.iter().any(|n| n == "auth"));
        assert!(members(&[("dba".to_owned(), 1)]).is_err());
        assert!(members(&[("db".to_owned(), 65)]).is_err());
    }

    #[test]
    fn the_fabric_is_stopped_last() {
        let mut names = vec![NATS, "orchestrator-2", "db", ORCHESTRATOR, "testing"];
        names.sort_by_key(|n| stop_wave(n));
        assert_eq!(names, ["db", "testing", "orchestrator-2", ORCHESTRATOR, NATS]);
    }
}
