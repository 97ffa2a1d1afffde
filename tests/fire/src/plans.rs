//! What the workflows do, and how each must end.

use std::fmt::Write as _;

use fastrand::Rng;

/// Effects of one workflow.
const EFFECTS: usize = 5;

/// A task's work: most accidents meet several.
const WORK_MAX_MS: u64 = 80;

/// What is done with a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Story {
    /// One effect after the other.
    Chain,
    /// All effects at once.
    Wide,
    /// The last task refuses, so that everything is taken back.
    Refused,
    /// It is done, and a person takes it back.
    Undone,
    /// A person cancels it somewhere on its way.
    Cancelled,
}

impl Story {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Chain, Self::Wide, Self::Refused, Self::Undone, Self::Cancelled];

    /// By chance.
    pub fn random(rng: &mut Rng) -> Self {
        Self::ALL[rng.usize(..Self::ALL.len())]
    }

    /// The keys of its effects.
    pub fn keys(self, workflow: &str) -> Vec<String> {
        (0..EFFECTS).map(|n| format!("{workflow}.e{n}")).collect()
    }

    /// The plan file.
    pub fn plan(self, workflow: &str, rng: &mut Rng) -> String {
        let mut plan = format!(
            "deadelus: 1\ntitle: Under fire\ntarget: {}\napproval: none\ntasks:\n",
            crate::sink::TARGET
        );
        let mut before = String::new();
        for (n, key) in self.keys(workflow).iter().enumerate() {
            let millis = rng.u64(..WORK_MAX_MS);
            let _ = writeln!(
                plan,
                "  e{n}: {{ does: sink.make, title: T, attempts: 20, needs: [{before}], \
                 inputs: {{ key: {key}, millis: {millis} }} }}"
            );
            match self {
                Self::Wide => {}
                Self::Chain | Self::Refused | Self::Undone | Self::Cancelled => {
                    before = format!("e{n}");
                }
            }
        }
        if self == Self::Refused {
            let _ = writeln!(
                plan,
                "  no: {{ does: sink.refuse, title: T, needs: [{before}], inputs: {{ key: no }} }}"
            );
        }
        plan
    }
}
