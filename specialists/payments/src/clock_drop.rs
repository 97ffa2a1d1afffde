//! `payments.clock_drop`: a test clock goes, with everything that lives by it. The way back of
//! [`crate::BillingRehearse`] and [`crate::WebhookIngest`]; never of what real customers pay.

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared, Undo, UndoClass,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    client::{Client, Fault},
    clock::{self, gone, owned},
    hook::Hook,
    target::Targets,
};

/// A few customers of one clock; each request at most as long as the target allows.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How the names of our own clocks begin: nobody else's is ever touched.
const OURS: &str = "deadelus-";

/// Which clock.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Its name, and the id of the product that was made beside it; begins with `deadelus-`.
    pub clock: String,
    /// Where the service hears the provider's events: it is told what ends. `/webhooks/provider`.
    #[serde(default)]
    pub tell: Option<String>,
}

/// What went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Subscriptions that ended with it.
    pub ended: Vec<String>,
}

/// Nothing more than the inputs say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {}

/// `payments.clock_drop`
#[derive(Debug, Clone)]
pub struct ClockDrop {
    targets: Targets,
}

/// The name of a task's clock: letters, digits and `-`, as a product's id has them.
pub(crate) fn name(cx: &Context) -> String {
    format!("{OURS}{}", cx.key().effect_key().replace('.', "-"))
}

/// The way back of whatever made the clock of this name.
pub(crate) fn undo(inputs: &Inputs, residue: Vec<String>) -> Undo {
    let back = Undo::exact("payments.clock_drop", inputs);
    Undo { class: UndoClass::Semantic, residue, ..back }
}

impl ClockDrop {
    /// For these providers.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }

    fn client(&self, cx: &Context) -> Result<Client, Failure> {
        self.targets.open_for_tests(cx, "only tests have clocks")
    }
}

impl ChangeCapability for ClockDrop {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "clock_drop",
            role: crate::ROLE,
            summary: "Deletes a test clock with its customers and all that they were billed.",
            effect: Effect::Compensatable,
            idempotency: Idempotency::Natural,
            checks: &[("clocks_left", "no clock of this name is there")],
            undo: None,
            timeout: TIMEOUT,
            locks: &["payments:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        if !inputs.clock.starts_with(OURS) || inputs.clock.len() == OURS.len() {
            let text = format!("clock: {:?} is none of ours: {OURS}…", inputs.clock);
            return Err(Failure::new(ErrorClass::InvalidInput, text));
        }
        self.client(cx)?;
        Ok(Prepared { before: Before {}, undo: None })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        _: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let client = self.client(cx)?;
        let ended = end(&client, &inputs.clock).await;
        let ended = ended.map_err(|fault| fault.begun("ending subscriptions"))?;
        let mut residue = vec![];
        if let Some(path) = &inputs.tell {
            let hook = Hook::of(&self.targets, cx, path)?;
            for subscription in &ended {
                residue.push(told(&client, &hook, subscription).await?);
            }
        }
        let left = clear(&client, &inputs.clock).await;
        residue.extend(left.map_err(|fault| fault.begun("deleting the clock"))?);
        let measured = measured(&client, inputs, ended).await;
        let measured = measured.map_err(|fault| fault.begun("looking for the clock"))?;
        Ok(measured.residue(residue))
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        _: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let client = self.client(cx)?;
        let product = client.get(&format!("/v1/products/{}", inputs.clock)).await;
        let product = product.map_err(|fault| fault.untouched("looking for the clock"))?;
        let measured = measured(&client, inputs, vec![]).await;
        let measured = measured.map_err(|fault| fault.untouched("looking for the clock"))?;
        let all = measured.checks.iter().all(|check| check.pass);
        let sold = product.is_some_and(|product| product["active"] == true);
        Ok(if all && !sold { Found::Done(measured) } else { Found::Partly })
    }
}

/// Ends every subscription of the clock's customers; all of them, those that had ended too.
async fn end(client: &Client, name: &str) -> Result<Vec<String>, Fault> {
    let mut ended = vec![];
    for clock in clock::named(client, name).await? {
        for customer in clock::customers(client, &clock).await? {
            // A list has none that ended unless it is asked for all.
            let all = owned(&[("customer", &customer), ("status", "all")]);
            for subscription in client.list("/v1/subscriptions", &all).await? {
                let id = clock::id(&subscription, "/v1/subscriptions")?;
                if subscription["status"] != "canceled" {
                    gone(client.delete(&format!("/v1/subscriptions/{id}")).await)?;
                }
                ended.push(id);
            }
        }
    }
    Ok(ended)
}

/// Brings the service the event of the end, and says what stays there.
async fn told(client: &Client, hook: &Hook, subscription: &str) -> Result<String, Failure> {
    const KIND: &str = "customer.subscription.deleted";
    let events = client.list("/v1/events", &owned(&[("type", KIND)])).await;
    let events = events.map_err(|fault| fault.begun("reading the events"))?;
    let about = |event: &&Value| event["data"]["object"]["id"] == subscription;
    let Some(event) = events.iter().find(about) else {
        return Ok(format!("the service was not told that {subscription} ended: no such event"));
    };
    Ok(match hook.deliver(event).await {
        Ok(200..300) => format!("the service keeps its record of {subscription}, which has ended"),
        Ok(status) => {
            format!("the service was not told that {subscription} ended: it answered {status}")
        }
        Err(silence) => format!("the service was not told that {subscription} ended: {silence}"),
    })
}

/// Deletes the clocks of this name and the product of the same id; what the provider keeps of them,
/// in words.
pub(crate) async fn clear(client: &Client, name: &str) -> Result<Vec<String>, Fault> {
    let mut left = vec![];
    for clock in clock::named(client, name).await? {
        let customers = clock::customers(client, &clock).await?;
        clock::delete(client, &clock).await?;
        for customer in customers {
            for payment in clock::of(client, "/v1/payment_intents", &customer).await? {
                left.push(format!("test payment {} stays in the books", payment["id"]));
            }
        }
    }
    let product = format!("/v1/products/{name}");
    match client.get(&product).await? {
        None => {}
        Some(found) if found["deleted"] == true => {}
        Some(_) => match client.delete(&product).await {
            Err(Fault::Refused { status: 400, .. }) => {
                client.post(&product, &owned(&[("active", "false")]), None).await?;
                left.push(format!("product {name} stays, archived"));
            }
            deleted => gone(deleted)?,
        },
    }
    Ok(left)
}

async fn measured(
    client: &Client,
    inputs: &Inputs,
    ended: Vec<String>,
) -> Result<Measured<Outputs>, Fault> {
    let left = clock::named(client, &inputs.clock).await?.len();
    let checks = vec![Check::equal("clocks_left", left, 0)];
    Ok(Measured::new(Outputs { ended }, checks))
}
