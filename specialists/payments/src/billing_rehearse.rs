//! `payments.billing_rehearse`: a catalogue's prices are billed for some months on a test clock, with
//! answers lost and everything asked three times, and each invoice is held against the calendar.
//! Nothing is sold: the product and the prices are for this rehearsal alone, and go with its clock.

mod judge;
#[cfg(test)]
mod tests;

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Context, Effect, ErrorClass, Failure, Found, Idempotency, Measured,
    Prepared, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::judge::{Billed, Seen};
use crate::{
    catalogue::declared::{Catalogue, Price, Recurring},
    client::{Client, Fault},
    clock::{self, Clock, Wanted},
    clock_drop, periods,
    target::Targets,
};

/// A daily price over two years is moved along 366 times.
const TIMEOUT: Duration = Duration::from_secs(900);
/// Each is a customer of its own.
const PRICES_MAX: usize = 10;
/// Two years: as far as a clock without subscriptions may go at once.
const MONTHS_MAX: u32 = 24;
/// A provider moves a clock by two of its shortest periods at most.
const PERIODS_AT_ONCE: i64 = 2;
/// 2024-01-31T12:00:00Z: the first period ends on the 29th of February, the third on the 30th of April.
const BEGINS_UNIX_S: i64 = 1_706_702_400;
/// What is asked once more, and once more again.
const REPEATS: usize = 2;

/// What to rehearse.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Products and prices; each price that is paid again and again is rehearsed, at most 10.
    pub catalogue: Catalogue,
    /// For how long; 1 to 24.
    #[serde(default = "default_months")]
    #[schemars(range(min = 1, max = 24))]
    pub months: u32,
    /// When the first period begins, in Unix seconds: noon of a 31st of January, when nothing is said.
    #[serde(default = "default_begins")]
    pub begins_unix_s: i64,
}

/// A year of every month's length.
fn default_months() -> u32 {
    12
}

fn default_begins() -> i64 {
    BEGINS_UNIX_S
}

/// What was billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Of each price.
    pub billed: Vec<Bill>,
}

/// One price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bill {
    /// Its name.
    pub lookup_key: String,
    /// Invoices within the time.
    pub invoices: usize,
    /// Their sum, in the currency's smallest unit.
    pub total: i64,
    /// ISO 4217, in small letters.
    pub currency: String,
}

/// What is known before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// The clock's; the same in every attempt.
    name: String,
}

/// `payments.billing_rehearse`
#[derive(Debug, Clone)]
pub struct BillingRehearse {
    targets: Targets,
}

impl BillingRehearse {
    /// For these providers.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }

    fn client(&self, cx: &Context) -> Result<Client, Failure> {
        self.targets.open_for_tests(cx, "a rehearsal bills")
    }
}

impl ChangeCapability for BillingRehearse {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "billing_rehearse",
            role: crate::ROLE,
            summary: "Bills a catalogue on a test clock for some months, and deletes all of it again.",
            effect: Effect::Compensatable,
            idempotency: Idempotency::Keyed,
            checks: &[
                ("invoices_off", "one for each period: to the cent and to the second"),
                ("ledger_sum", "what was invoiced and what was paid add up to nothing"),
                ("repeats_with_an_effect", "what is asked three times is done once"),
                ("invoices_after_the_end", "who has left is not billed"),
                ("left_behind", "nothing of the rehearsal is there any more"),
            ],
            undo: Some(UndoPromise { verb: "clock_drop", class: UndoClass::Semantic }),
            timeout: TIMEOUT,
            locks: &["payments:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        inputs.check()?;
        let name = clock_drop::name(cx);
        let left = clock::named(&self.client(cx)?, &name).await;
        left.map_err(|fault| fault.untouched("looking for the clock"))?;
        let back = clock_drop::Inputs { clock: name.clone(), tell: None };
        let undo = clock_drop::undo(&back, vec![]);
        Ok(Prepared { before: Before { name }, undo: Some(undo) })
    }

    /// What an earlier attempt left is of no use: it is deleted, and the rehearsal begins anew.
    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let client = self.client(cx)?;
        let lost = |fault: Fault| fault.begun("rehearsing");
        clock_drop::clear(&client, &before.name).await.map_err(lost)?;
        let faults = self.targets.of(cx)?.takes_faults;
        let stage = Stage { client: &client, inputs, name: &before.name, faults };
        let mut seen = stage.play(cx).await.map_err(lost)?;
        seen.left_behind = clock_drop::clear(&client, &before.name).await.map_err(lost)?;
        seen.left_behind.extend(clock::named(&client, &before.name).await.map_err(lost)?);
        let outputs = Outputs { billed: seen.billed.iter().map(Billed::bill).collect() };
        Ok(Measured::new(outputs, seen.checks(inputs)))
    }

    /// What was seen is not kept: a rehearsal whose word was lost is done again.
    async fn reconcile(
        &self,
        cx: &Context,
        _: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let left = clock::named(&self.client(cx)?, &before.name).await;
        let left = left.map_err(|fault| fault.untouched("looking for the clock"))?;
        Ok(if left.is_empty() { Found::NotBegun } else { Found::Partly })
    }
}

impl Inputs {
    fn check(&self) -> Result<(), Failure> {
        let invalid = |text: String| Err(Failure::new(ErrorClass::InvalidInput, text));
        self.catalogue.check()?;
        let prices = self.recurring().count();
        if !(1..=PRICES_MAX).contains(&prices) {
            let text = format!("catalogue: {prices} prices are paid again and again");
            return invalid(format!("{text}; 1 to {PRICES_MAX} can be rehearsed"));
        }
        if !(1..=MONTHS_MAX).contains(&self.months) {
            return invalid(format!("months: 1 to {MONTHS_MAX}"));
        }
        let late = i64::from(self.months) + i64::from(MONTHS_MAX);
        if self.begins_unix_s < 0 || periods::months_later(self.begins_unix_s, late).is_none() {
            return invalid("begins_unix_s: no time of the calendar".to_owned());
        }
        Ok(())
    }

    fn recurring(&self) -> impl Iterator<Item = (&Price, &Recurring)> {
        self.catalogue
            .prices()
            .filter_map(|(_, price)| Some((price, price.terms.recurring.as_ref()?)))
    }

    /// When it is over; checked to be within the calendar.
    fn ends_unix_s(&self) -> i64 {
        periods::months_later(self.begins_unix_s, self.months.into()).unwrap_or(i64::MAX)
    }

    /// How far a clock may go at once: over two periods of the price that is paid most often.
    fn stops(&self) -> Vec<i64> {
        let end = self.ends_unix_s();
        let step = |every: &Recurring| periods::start(self.begins_unix_s, every, PERIODS_AT_ONCE);
        let shortest = self.recurring().map(|(_, every)| every).min_by_key(|every| step(every));
        let after = |n: i64| periods::start(self.begins_unix_s, shortest?, n * PERIODS_AT_ONCE);
        let between = (1..).map_while(after).take_while(|at| *at < end);
        between.chain([end]).collect()
    }
}

/// Where it is played.
struct Stage<'a> {
    client: &'a Client,
    inputs: &'a Inputs,
    name: &'a str,
    faults: bool,
}

impl Stage<'_> {
    async fn play(&self, cx: &Context) -> Result<Seen, Fault> {
        let mut clock = Clock::start(self.client, self.name, self.inputs.begins_unix_s).await?;
        let product = [("id", self.name), ("name", "A rehearsal")];
        self.client.post("/v1/products", &clock::owned(&product), None).await?;
        let mut seen = Seen::default();
        let mut cast = vec![];
        for (price, every) in self.inputs.recurring() {
            let customer = clock.customer(self.client, &price.lookup_key).await?;
            let (subscription, repeated) = self.subscribe(price, every, &customer).await?;
            seen.repeats_with_an_effect += repeated;
            cast.push((price, every, customer, subscription));
        }
        let stops = self.inputs.stops();
        for (n, stop) in stops.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a share for people")]
            let share = n as f64 / stops.len() as f64;
            cx.progress("moving the clock", Some(share)).await;
            clock.advance(self.client, *stop).await?;
        }
        for (price, every, customer, subscription) in &cast {
            let invoices = clock::of(self.client, "/v1/invoices", customer).await?;
            let payments = clock::of(self.client, "/v1/payment_intents", customer).await?;
            seen.billed.push(Billed::new(price, every, self.inputs, &invoices, &payments));
            let of_it = clock::of(self.client, "/v1/subscriptions", customer).await?;
            seen.repeats_with_an_effect += of_it.len().abs_diff(1);
            let path = format!("/v1/subscriptions/{subscription}");
            clock::gone(self.client.delete(&path).await)?;
        }
        // Nobody is left: the clock may go two years at once.
        let after = periods::months_later(self.inputs.ends_unix_s(), MONTHS_MAX.into());
        clock.advance(self.client, after.unwrap_or(i64::MAX)).await?;
        for ((_, _, customer, _), billed) in cast.iter().zip(&seen.billed) {
            let now = clock::of(self.client, "/v1/invoices", customer).await?.len();
            seen.invoices_after_the_end += now.abs_diff(billed.invoices());
        }
        Ok(seen)
    }

    /// The subscription's id, and how many of the repeats did something. Where the provider goes
    /// wrong on demand, the first answer is lost.
    async fn subscribe(
        &self,
        price: &Price,
        every: &Recurring,
        customer: &str,
    ) -> Result<(String, usize), Fault> {
        let path = "/v1/subscriptions";
        if self.faults {
            let trap = json!({"fault": "lost_answer", "method": "POST", "path": path});
            self.client.set_fault(&trap).await?;
        }
        let (amount, count) =
            (price.terms.unit_amount.to_string(), every.interval_count.to_string());
        let wanted = Wanted {
            path,
            form: &[
                ("customer", customer),
                ("items[0][price_data][product]", self.name),
                ("items[0][price_data][currency]", &price.terms.currency),
                ("items[0][price_data][unit_amount]", &amount),
                ("items[0][price_data][recurring][interval]", every.interval.as_str()),
                ("items[0][price_data][recurring][interval_count]", &count),
            ],
            list: path,
            narrow: &[("customer", customer)],
            key: &format!("{}.{}", self.name, price.lookup_key),
        };
        let got = wanted.get(self.client, |_| true).await?;
        let id = clock::id(&got.object, path)?;
        let mut with_an_effect = 0;
        if let Some(key) = &got.made_under {
            for _ in 0..REPEATS {
                let again: Value = self.client.post(path, &wanted.form(), Some(key)).await?;
                with_an_effect += usize::from(again["id"] != id.as_str());
            }
        }
        Ok((id, with_an_effect))
    }
}
