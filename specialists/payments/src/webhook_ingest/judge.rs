//! What the service made of the events, against what the provider says. Pure.

use deadelus_runtime::Check;
use serde_json::Value;

use crate::{reconcile::Line, service::Answer};

/// A customer who subscribed, and what they were told.
#[derive(Debug)]
pub(super) struct Subscribed {
    pub(super) key: String,
    pub(super) customer: String,
    pub(super) answers: Vec<Answer>,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) subscribed: Vec<Subscribed>,
    /// The answers to what the provider tells.
    pub(super) delivered: Vec<u16>,
    /// The answers to what it does not.
    pub(super) forged: Vec<(&'static str, u16)>,
    /// The service's own list.
    pub(super) listed: Value,
    /// The provider's, of each customer.
    pub(super) subscriptions: Vec<Vec<Value>>,
    /// The provider's, of each customer.
    pub(super) invoices: Vec<Vec<Value>>,
}

/// An invoice, in the words that both have: its id, its payment, its currency, its amount.
type Paid = (String, String, String, i64);

impl Seen {
    pub(super) fn customers(&self) -> impl Iterator<Item = &str> {
        self.subscribed.iter().map(|subscribed| subscribed.customer.as_str())
    }

    /// What the service says was paid.
    pub(super) fn ledger(&self) -> Vec<Line> {
        let mut lines = vec![];
        for subscribed in &self.subscribed {
            for (_, reference, currency, amount) in self.recorded(&subscribed.key) {
                lines.push(Line { reference, currency, amount });
            }
        }
        lines
    }

    pub(super) fn checks(&self) -> Vec<Check> {
        let refused = self.delivered.iter().filter(|status| !(200..300).contains(*status));
        let believed = self.forged.iter().filter(|(_, status)| !(400..500).contains(status));
        let believed: Vec<String> =
            believed.map(|(why, status)| format!("{why}: {status}")).collect();
        let unlike = self.subscribed.iter().filter(|one| {
            let first = one.answers.first().map(|answer| &answer.body);
            let well = |answer: &Answer| matches!(answer.status, 200 | 201);
            !one.answers.iter().all(|answer| well(answer) && Some(&answer.body) == first)
        });
        let not_one = self.subscriptions.iter().filter(|there| there.len() != 1).count();
        let states: Vec<String> =
            self.pairs().filter_map(|(at, key)| self.state_off(at, key)).collect();
        let invoices: Vec<String> =
            self.pairs().flat_map(|(at, key)| self.invoices_off(at, key)).collect();
        vec![
            Check::equal("keys_without_one_subscription", not_one, 0),
            Check::equal("answers_that_differ", unlike.count(), 0),
            Check::equal("deliveries_refused", refused.count(), 0)
                .note(format!("of {}", self.delivered.len())),
            Check::equal("forgeries_accepted", believed.len(), 0).note(believed.join(", ")),
            Check::equal("states_that_differ", states.len(), 0).note(states.join("; ")),
            Check::equal("invoices_that_differ", invoices.len(), 0).note(invoices.join("; ")),
        ]
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, &str)> {
        self.subscribed.iter().map(|subscribed| subscribed.key.as_str()).enumerate()
    }

    /// Where the service has another state than the provider.
    fn state_off(&self, at: usize, key: &str) -> Option<String> {
        let there = &self.subscriptions.get(at)?.first()?["status"];
        let here = self.entry(key).map_or(&Value::Null, |entry| &entry["state"]);
        (here != there).then(|| format!("{key}: the service says {here}, the provider {there}"))
    }

    /// What only one of the two has, or the service has twice.
    fn invoices_off(&self, at: usize, key: &str) -> Vec<String> {
        let mut here = self.recorded(key);
        let there = self.invoices.get(at).into_iter().flatten();
        let mut off = vec![];
        for paid in there.filter(|invoice| invoice["status"] == "paid").map(there_paid) {
            match here.iter().position(|one| *one == paid) {
                Some(place) => drop(here.swap_remove(place)),
                None => off.push(format!("{key}: {} is not in the service's record", paid.0)),
            }
        }
        off.extend(here.iter().map(|paid| format!("{key}: {} is once too often in it", paid.0)));
        off
    }

    fn entry(&self, key: &str) -> Option<&Value> {
        self.listed.as_array()?.iter().find(|entry| entry["key"] == key)
    }

    /// The invoices of one subscription by the service's record.
    fn recorded(&self, key: &str) -> Vec<Paid> {
        let invoices = self.entry(key).and_then(|entry| entry["invoices"].as_array());
        invoices.into_iter().flatten().map(|invoice| paid(invoice, "payment", "amount")).collect()
    }
}

fn there_paid(invoice: &Value) -> Paid {
    paid(invoice, "payment_intent", "amount_paid")
}

fn paid(invoice: &Value, payment: &str, amount: &str) -> Paid {
    let text = |name: &str| invoice[name].as_str().unwrap_or_default().to_owned();
    (text("id"), text(payment), text("currency"), invoice[amount].as_i64().unwrap_or_default())
}
