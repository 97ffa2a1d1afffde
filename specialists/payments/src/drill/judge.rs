//! What a drill has shown. Pure.

use deadelus_runtime::Check;
use serde_json::Value;

use crate::{made::Made, reconcile::Line, service::Answer};

/// All answers under one key.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) key: String,
    pub(super) answers: Vec<Answer>,
}

/// Everything that was seen of the service and of the provider.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) trials: Vec<Trial>,
    /// The answer to another payment under a key that was used.
    pub(super) other_body_status: u16,
    /// The service's own list.
    pub(super) listed: Value,
    /// The provider's.
    pub(super) made: Vec<Made>,
}

impl Seen {
    /// The lines of the service's list that are this drill's.
    pub(super) fn ledger(&self, keys_begin: &str) -> Vec<Line> {
        let lines = self.listed.as_array().into_iter().flatten().filter(|payment| {
            payment["key"].as_str().is_some_and(|key| key.starts_with(keys_begin))
        });
        let line = |payment: &Value| {
            Some(Line {
                reference: payment["reference"].as_str()?.to_owned(),
                currency: payment["currency"].as_str()?.to_owned(),
                amount: payment["amount"].as_i64()?,
            })
        };
        lines.filter_map(line).collect()
    }

    pub(super) fn checks(&self, ledger: &[Line]) -> Vec<Check> {
        let payments = |key: &str| self.made.iter().filter(|made| made.key == key).count();
        let paid = |answer: &&Answer| matches!(answer.status, 200 | 201);
        let answers = || self.trials.iter().flat_map(|trial| &trial.answers);
        let unlike = self.trials.iter().map(|trial| {
            let first = trial.answers.first().map(|answer| &answer.body);
            trial.answers.iter().filter(|answer| Some(&answer.body) != first).count()
        });
        let missing =
            self.made.iter().filter(|made| !ledger.iter().any(|line| line.reference == made.id));
        let off = self.trials.iter().filter(|trial| payments(&trial.key) != 1);
        let off: Vec<&str> = off.map(|trial| trial.key.as_str()).collect();
        vec![
            Check::equal("keys_without_one_payment", off.len(), 0).note(off.join(", ")),
            Check::equal("requests_not_served", answers().filter(|a| !paid(a)).count(), 0)
                .note(format!("of {}", answers().count())),
            Check::equal("answers_that_differ", unlike.sum::<usize>(), 0),
            Check::equal("other_body_status", self.other_body_status, 409),
            Check::equal("missing_in_the_ledger", missing.count(), 0),
        ]
    }
}
