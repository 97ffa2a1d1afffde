//! `payments.webhook_ingest`: two customers on a test clock subscribe through the service itself, one
//! of them leaves, months pass, and every event of that comes to the service three times: two at
//! once, and in the wrong order. What the service then says of them must be what the provider says.
//! Taken back by [`crate::ClockDrop`].

mod judge;
#[cfg(test)]
mod tests;

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Context, Effect, ErrorClass, Failure, Found, Idempotency, Measured,
    Prepared, UndoClass, UndoPromise,
};
use futures_util::future::join;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::judge::{Seen, Subscribed};
use crate::{
    client::{Client, Fault},
    clock::{self, Clock},
    clock_drop,
    hook::Hook,
    periods, reconcile,
    service::{Answer, Service, Silence},
    target::Targets,
};

/// Two subscriptions, some months, and some dozens of events.
const TIMEOUT: Duration = Duration::from_secs(600);
/// A year; what is longer is rehearsed, not lived through.
const MONTHS_MAX: u32 = 12;
/// 2024-01-31T12:00:00Z, as in a rehearsal: no two months are of one length.
const BEGINS_UNIX_S: i64 = 1_706_702_400;
/// A service that says it is busy is asked again, so often.
const ASKS_MAX: usize = 5;
/// And after a moment.
const ASK_PAUSE: Duration = Duration::from_millis(200);
/// Who stays to the end, and who leaves after a month.
const CUSTOMERS: [&str; 2] = ["stays", "leaves"];
/// Of the provider's events, those that a subscription lives by.
const KINDS: [&str; 4] = [
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.paid",
];

/// What to subscribe to, and where the service hears of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The lookup key of a price that is paid each month.
    pub price: String,
    /// For how many months; 1 to 12.
    #[serde(default = "default_months")]
    #[schemars(range(min = 1, max = 12))]
    pub months: u32,
    /// Where the service takes subscriptions (`POST` under a key of idempotency, with the provider's
    /// `customer` and the `price`), lists them (`GET`) and ends them (`DELETE` of the key).
    #[serde(default = "default_path")]
    pub path: String,
    /// Where it hears the provider's events.
    #[serde(default = "default_webhooks")]
    pub webhooks: String,
}

fn default_months() -> u32 {
    3
}

fn default_path() -> String {
    "/subscriptions".to_owned()
}

fn default_webhooks() -> String {
    "/webhooks/provider".to_owned()
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Different events that were brought.
    pub events: usize,
    /// How often they were brought, all together.
    pub deliveries: usize,
    /// The provider's customers: for `payments.reconcile`.
    pub customers: Vec<String>,
    /// What the service says was paid by them: for `payments.reconcile`.
    pub ledger: Vec<reconcile::Line>,
    /// Beginning of the time that passed on the clock, in Unix seconds.
    pub from_unix_s: i64,
    /// Its end, not part of it.
    pub until_unix_s: i64,
}

/// What is known before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// The clock's; the same in every attempt.
    name: String,
}

/// `payments.webhook_ingest`
#[derive(Debug, Clone)]
pub struct WebhookIngest {
    targets: Targets,
}

impl WebhookIngest {
    /// For these providers.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }

    fn place<'a>(&self, cx: &Context, inputs: &'a Inputs) -> Result<Place<'a>, Failure> {
        let client = self.targets.open_for_tests(cx, "customers on a clock subscribe")?;
        let hook = Hook::of(&self.targets, cx, &inputs.webhooks)?;
        Ok(Place { client, service: self.targets.service(cx)?, hook, inputs })
    }
}

impl ChangeCapability for WebhookIngest {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "webhook_ingest",
            role: crate::ROLE,
            summary: "Subscribes through the service on a test clock, and brings it every event thrice \
                      and in the wrong order: each counts once.",
            effect: Effect::Compensatable,
            idempotency: Idempotency::Keyed,
            checks: &[
                ("keys_without_one_subscription", "whoever asks twice under one key has one"),
                ("answers_that_differ", "and is told the same"),
                ("deliveries_refused", "the service takes every event that is signed"),
                ("forgeries_accepted", "and none that is not, or is not of now"),
                ("states_that_differ", "the service knows who stays and who has left"),
                ("invoices_that_differ", "it has each of the provider's invoices, once"),
            ],
            undo: Some(UndoPromise { verb: "clock_drop", class: UndoClass::Semantic }),
            timeout: TIMEOUT,
            locks: &["payments:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        inputs.check()?;
        let (place, name) = (self.place(cx, inputs)?, clock_drop::name(cx));
        let left = clock::named(&place.client, &name).await;
        left.map_err(|fault| fault.untouched("looking for the clock"))?;
        place.answers().await?;
        let back = clock_drop::Inputs { clock: name.clone(), tell: Some(inputs.webhooks.clone()) };
        let stays = "the service keeps its record of the subscriptions, which have ended";
        let undo = clock_drop::undo(&back, vec![stays.to_owned()]);
        Ok(Prepared { before: Before { name }, undo: Some(undo) })
    }

    /// Everything is found again by its name and counts once, so it may begin anew at any point.
    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let place = self.place(cx, inputs)?;
        let mut clock =
            Clock::start(&place.client, &before.name, BEGINS_UNIX_S).await.map_err(lost)?;
        let mut seen = Seen::default();
        for who in CUSTOMERS {
            seen.subscribed.push(place.subscribe(&clock, who).await?);
        }
        place.live(&mut clock, &seen).await?;
        let events = place.events(&seen).await.map_err(lost)?;
        place.bring(&events, &mut seen).await?;
        place.look(&mut seen).await?;
        let outputs = Outputs {
            events: events.len(),
            deliveries: seen.delivered.len(),
            customers: seen.customers().map(str::to_owned).collect(),
            ledger: seen.ledger(),
            from_unix_s: BEGINS_UNIX_S,
            until_unix_s: clock.at + 1,
        };
        Ok(Measured::new(outputs, seen.checks()))
    }

    /// What the service answered is not kept: it is asked again.
    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let left = clock::named(&self.place(cx, inputs)?.client, &before.name).await;
        let left = left.map_err(|fault| fault.untouched("looking for the clock"))?;
        Ok(if left.is_empty() { Found::NotBegun } else { Found::Partly })
    }
}

impl Inputs {
    fn check(&self) -> Result<(), Failure> {
        let invalid = |text: String| Err(Failure::new(ErrorClass::InvalidInput, text));
        for (name, path) in [("path", &self.path), ("webhooks", &self.webhooks)] {
            if !path.starts_with('/') {
                return invalid(format!("{name}: begins with /"));
            }
        }
        if self.price.is_empty() {
            return invalid("price: is empty".to_owned());
        }
        if !(1..=MONTHS_MAX).contains(&self.months) {
            return invalid(format!("months: 1 to {MONTHS_MAX}"));
        }
        Ok(())
    }
}

/// Where it is done.
struct Place<'a> {
    client: Client,
    service: Service,
    hook: Hook,
    inputs: &'a Inputs,
}

impl Place<'_> {
    /// The service lists its subscriptions: what cannot begin has nothing to take back.
    async fn answers(&self) -> Result<(), Failure> {
        let path = &self.inputs.path;
        let text = match self.service.get(path).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => format!("GET {path} of the service is {}", answer.status),
            Err(silence) => silence.to_string(),
        };
        Err(Failure::new(ErrorClass::Unavailable, text)
            .help("is the revision with subscriptions served, and is `service_url` right?"))
    }

    /// Twice at once under one key.
    async fn subscribe(&self, clock: &Clock, who: &str) -> Result<Subscribed, Failure> {
        let customer = clock.customer(&self.client, who).await.map_err(lost)?;
        // Another clock of this name, after an undo, is another subscription.
        let key = format!("{}-{who}", clock.id);
        let body = json!({"customer": customer, "price": self.inputs.price});
        let (one, other) = join(self.ask(&key, &body), self.ask(&key, &body)).await;
        Ok(Subscribed { key, customer, answers: vec![one?, other?] })
    }

    async fn ask(&self, key: &str, body: &Value) -> Result<Answer, Failure> {
        let mut last = self.service.post(&self.inputs.path, key, body).await;
        for _ in 1..ASKS_MAX {
            match &last {
                Ok(answer) if answer.status != 503 => break,
                Ok(_) | Err(_) => tokio::time::sleep(ASK_PAUSE).await,
            }
            last = self.service.post(&self.inputs.path, key, body).await;
        }
        last.map_err(|silence| unknown(&silence))
    }

    /// The months pass, one after the other; after the first one a customer leaves.
    async fn live(&self, clock: &mut Clock, seen: &Seen) -> Result<(), Failure> {
        for month in 1..=self.inputs.months {
            let to = periods::months_later(BEGINS_UNIX_S, month.into()).unwrap_or(i64::MAX);
            clock.advance(&self.client, to).await.map_err(lost)?;
            if month == 1
                && let Some(leaves) = seen.subscribed.last()
                && self.is_active(&leaves.customer).await.map_err(lost)?
            {
                let path = format!("{}/{}", self.inputs.path, leaves.key);
                // Whether it worked is seen at the provider and in the service's own record.
                self.service.delete(&path).await.map_err(|silence| unknown(&silence))?;
            }
        }
        Ok(())
    }

    async fn is_active(&self, customer: &str) -> Result<bool, Fault> {
        let active = clock::owned(&[("customer", customer), ("status", "active")]);
        Ok(!self.client.list("/v1/subscriptions", &active).await?.is_empty())
    }

    /// What the provider has to tell of these customers, oldest first.
    async fn events(&self, seen: &Seen) -> Result<Vec<Value>, Fault> {
        let mut events = vec![];
        for kind in KINDS {
            let of_kind = self.client.list("/v1/events", &clock::owned(&[("type", kind)])).await?;
            let about = |event: &Value| {
                let customer = event["data"]["object"]["customer"].as_str();
                seen.customers().any(|one| Some(one) == customer)
            };
            events.extend(of_kind.into_iter().filter(about));
        }
        events.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
        Ok(events)
    }

    /// The newest first, each twice at once; then all of them once more as they were; and what
    /// nobody may believe, between the two.
    async fn bring(&self, events: &[Value], seen: &mut Seen) -> Result<(), Failure> {
        let gone = |silence: Silence| unknown(&silence);
        for event in events.iter().rev() {
            let (one, other) = join(self.hook.deliver(event), self.hook.deliver(event)).await;
            seen.delivered.extend([one.map_err(gone)?, other.map_err(gone)?]);
        }
        let forged = json!({"id": "evt_forged", "object": "event", "type": "invoice.paid",
            "data": {"object": events.last().map(|event| &event["data"]["object"])}});
        seen.forged = self.hook.forge(&forged).await.map_err(gone)?;
        let unheard = json!({"id": format!("evt_unheard_{}", events.len()), "object": "event",
            "type": "deadelus.unheard_of", "data": {"object": {"id": "nothing"}}});
        for event in events.iter().chain([&unheard]) {
            seen.delivered.push(self.hook.deliver(event).await.map_err(gone)?);
        }
        Ok(())
    }

    /// What the service says of it now, and what the provider says.
    async fn look(&self, seen: &mut Seen) -> Result<(), Failure> {
        let listed = self.service.get(&self.inputs.path).await;
        seen.listed = listed.map_err(|silence| unknown(&silence))?.body;
        for subscribed in &seen.subscribed {
            let all = clock::owned(&[("customer", &subscribed.customer), ("status", "all")]);
            let there = self.client.list("/v1/subscriptions", &all).await.map_err(lost)?;
            seen.subscriptions.push(there);
            let invoices = clock::of(&self.client, "/v1/invoices", &subscribed.customer).await;
            seen.invoices.push(invoices.map_err(lost)?);
        }
        Ok(())
    }
}

fn lost(fault: Fault) -> Failure {
    fault.begun("subscribing")
}

fn unknown(silence: &Silence) -> Failure {
    Failure::new(ErrorClass::UnknownOutcome, format!("subscribing: {silence}"))
        .help("is the service running, and is the target's `service_url` right?")
}
