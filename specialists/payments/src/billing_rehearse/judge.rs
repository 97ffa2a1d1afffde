//! What a rehearsal has shown, against the calendar. Pure.

use std::collections::BTreeMap;

use deadelus_runtime::Check;
use serde_json::Value;

use super::{Bill, Inputs};
use crate::{
    catalogue::declared::{Price, Recurring},
    periods,
};

/// Invoices that are named; all of them count.
const NAMED_MAX: usize = 5;

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) billed: Vec<Billed>,
    pub(super) repeats_with_an_effect: usize,
    pub(super) invoices_after_the_end: usize,
    pub(super) left_behind: Vec<String>,
}

/// What one price was billed, and how that differs from what the calendar says.
#[derive(Debug)]
pub(super) struct Billed {
    bill: Bill,
    off: Vec<String>,
    paid: i64,
}

/// One invoice: when its period begins and ends, of how much, in what, and whether it is paid.
type Line = (i64, i64, i64, String, String);

impl Billed {
    pub(super) fn new(
        price: &Price,
        every: &Recurring,
        inputs: &Inputs,
        invoices: &[Value],
        payments: &[Value],
    ) -> Self {
        let (mut missing, mut more) = (BTreeMap::<Line, i64>::new(), vec![]);
        for line in expected(price, every, inputs) {
            *missing.entry(line).or_default() += 1;
        }
        for line in invoices.iter().map(read) {
            match missing.get_mut(&line) {
                Some(count) if *count > 0 => *count -= 1,
                Some(_) | None => more.push(line),
            }
        }
        let missing = missing.into_iter().filter(|(_, count)| *count > 0).map(|(line, _)| line);
        let named = |what: &str, (from, _, amount, currency, status): Line| {
            format!("{}: {what} {amount} {currency} from {from} ({status})", price.lookup_key)
        };
        let off = missing.map(|line| named("missing", line));
        let off = off.chain(more.into_iter().map(|line| named("not expected", line))).collect();
        let sum = |all: &[Value], field: &str| all.iter().filter_map(|o| o[field].as_i64()).sum();
        let bill = Bill {
            lookup_key: price.lookup_key.clone(),
            invoices: invoices.len(),
            total: sum(invoices, "amount_paid"),
            currency: price.terms.currency.clone(),
        };
        Self { bill, off, paid: sum(payments, "amount_received") }
    }

    pub(super) fn bill(&self) -> Bill {
        self.bill.clone()
    }

    pub(super) fn invoices(&self) -> usize {
        self.bill.invoices
    }
}

impl Seen {
    pub(super) fn checks(&self, inputs: &Inputs) -> Vec<Check> {
        let off: Vec<&String> = self.billed.iter().flat_map(|billed| &billed.off).collect();
        let named: Vec<&str> = off.iter().take(NAMED_MAX).map(|line| line.as_str()).collect();
        let sum: i64 = self.billed.iter().map(|billed| billed.bill.total - billed.paid).sum();
        let all: usize = self.billed.iter().map(Billed::invoices).sum();
        let note = if named.is_empty() {
            format!("{all} invoices of {} months", inputs.months)
        } else {
            named.join("; ")
        };
        vec![
            Check::equal("invoices_off", off.len(), 0).note(note),
            Check::equal("ledger_sum", sum, 0),
            Check::equal("repeats_with_an_effect", self.repeats_with_an_effect, 0),
            Check::equal("invoices_after_the_end", self.invoices_after_the_end, 0),
            Check::equal("left_behind", self.left_behind.len(), 0)
                .note(self.left_behind.join("; ")),
        ]
    }
}

/// One invoice for each period that begins until the end, that one included.
fn expected(price: &Price, every: &Recurring, inputs: &Inputs) -> Vec<Line> {
    let start = |n| periods::start(inputs.begins_unix_s, every, n);
    let amount = i64::try_from(price.terms.unit_amount).unwrap_or(i64::MAX);
    let line = |n| {
        Some((start(n)?, start(n + 1)?, amount, price.terms.currency.clone(), "paid".to_owned()))
    };
    (0..).map_while(line).take_while(|(from, ..)| *from <= inputs.ends_unix_s()).collect()
}

fn read(invoice: &Value) -> Line {
    // The invoice's own period is the one before: what is billed stands in its line.
    let period = &invoice["lines"]["data"][0]["period"];
    let number = |value: &Value| value.as_i64().unwrap_or(i64::MIN);
    let text = |name: &str| invoice[name].as_str().unwrap_or_default().to_owned();
    let amount = number(&invoice["amount_paid"]);
    let (from, to) = (number(&period["start"]), number(&period["end"]));
    (from, to, amount, text("currency"), text("status"))
}
