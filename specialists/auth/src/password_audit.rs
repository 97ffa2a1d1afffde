//! `auth.password_audit`: how passwords are hashed, told by scheme and line, never by value.
//!
//! It reads an extract of the column, one hash a line, from the target's folder.

mod scheme;

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    time::Duration,
};

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, Failure, Idempotency, InFolder, Measured,
    ReadCapability, Source, blocking, invalid, sha256,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::scheme::{Scheme, Strength};
use crate::target::Targets;

/// A hundred thousand short lines.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(60);

/// A sample of that size tells as much as the whole column.
const HASHES_MAX: usize = 200_000;

/// Lines told for each scheme: enough to begin with.
const LINES_TOLD_MAX: usize = 5;

/// The capability.
pub(crate) struct PasswordAudit(pub(crate) Targets);

/// What to look at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// A file of the target's folder with one hash a line; empty lines do not count.
    hashes: PathBuf,
    /// How many hashes may be weaker than they should be, while people log in and get new ones.
    #[serde(default)]
    rehash_max: usize,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// How many hashes there are.
    hashes: usize,
    /// By scheme and parameters: what is broken first.
    schemes: Vec<Group>,
    /// Hashes that share their salt with another: who knows one password knows both.
    salts_repeated: usize,
    /// Lines of all hashes that are not strong, by scheme, as JSON.
    lines: Artefact,
}

/// Hashes of one scheme with the same parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Group {
    /// What becomes of them.
    strength: Strength,
    /// `argon2id m=19456 t=2 p=1`
    scheme: String,
    /// How many.
    count: usize,
    /// The first 5 lines, from 1.
    first_lines: Vec<usize>,
    /// All of them.
    #[serde(skip)]
    lines: Vec<usize>,
}

impl ReadCapability for PasswordAudit {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "password_audit",
            role: crate::ROLE,
            summary: "Tells how passwords are hashed: which are broken, and which are too weak.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("hashes", "there is at least one"),
                ("broken", "no password is in the clear or hashed so that it can be tried fast"),
                ("rehash", "no more than allowed are weaker than OWASP advises"),
                ("salts_repeated", "no two hashes share a salt"),
            ],
            undo: None,
            timeout: AUDIT_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let file = Source::File(InFolder { file: inputs.hashes });
        let text = file.text(cx, &self.0.of(cx)?.folder).await?.text;
        let (groups, salts_repeated) = blocking(move || audit(&text)).await?;
        let json =
            serde_json::json!({ "schemes": groups.iter().map(all_lines).collect::<Vec<_>>() });
        let lines = cx.keep("password_audit.json", "application/json", json.to_string().into());
        let lines = lines.await?;
        let count = |strength| {
            groups.iter().filter(|g| g.strength == strength).map(|g| g.count).sum::<usize>()
        };
        let note = |strength| {
            let first = groups.iter().find(|group| group.strength == strength);
            first.map(|g| format!("{}: lines {:?}", g.scheme, g.first_lines)).unwrap_or_default()
        };
        let hashes = groups.iter().map(|group| group.count).sum();
        let checks = vec![
            Check::at_least("hashes", hashes, 1),
            Check::equal("broken", count(Strength::Broken), 0)
                .note(note(Strength::Broken))
                .evidence(lines.clone()),
            Check::at_most("rehash", count(Strength::Rehash), inputs.rehash_max)
                .note(note(Strength::Rehash)),
            Check::equal("salts_repeated", salts_repeated, 0),
        ];
        let outputs = Outputs { hashes, schemes: groups, salts_repeated, lines: lines.clone() };
        Ok(Measured::new(outputs, checks).artefacts(vec![lines]))
    }
}

/// Groups, what is broken first, and how many salts were seen before.
fn audit(text: &str) -> Result<(Vec<Group>, usize), Failure> {
    let mut groups: BTreeMap<(Strength, String), Vec<usize>> = BTreeMap::new();
    let (mut salts, mut repeated, mut hashes) = (HashSet::new(), 0, 0);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        hashes += 1;
        if hashes > HASHES_MAX {
            return Err(invalid(format!("more than {HASHES_MAX} hashes: take a sample")));
        }
        let Scheme { strength, name, salt } = scheme::of(line);
        if let Some(salt) = salt {
            repeated += usize::from(!salts.insert(sha256(salt.as_bytes()).to_string()));
        }
        groups.entry((strength, name)).or_default().push(number + 1);
    }
    let group = |((strength, scheme), lines): ((Strength, String), Vec<usize>)| Group {
        strength,
        scheme,
        count: lines.len(),
        first_lines: lines.iter().take(LINES_TOLD_MAX).copied().collect(),
        lines,
    };
    Ok((groups.into_iter().map(group).collect(), repeated))
}

fn all_lines(group: &Group) -> serde_json::Value {
    let strong = group.strength == Strength::Strong;
    let lines: &[usize] = if strong { &[] } else { &group.lines };
    serde_json::json!({"strength": group.strength, "scheme": group.scheme, "count": group.count,
        "lines": lines})
}

#[cfg(test)]
mod tests;
