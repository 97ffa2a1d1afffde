//! `payments.drill`: pays through the service under change, as its customers will, while the
//! provider goes wrong in every way it can. One key must be one payment, whoever asks how often.
//! Taken back by [`crate::Refund`].

mod judge;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadelus_runtime::{
    About, ChangeCapability, Context, Effect, ErrorClass, Failure, Found, Idempotency, Measured,
    Prepared, Undo, UndoClass, UndoPromise,
};
use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::judge::{Seen, Trial};
use crate::{
    client::Client,
    made, reconcile, refund,
    service::{Answer, Service, Silence},
    target::Targets,
};

/// Some hundred payments, a few of which the service has to try several times.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Between two looks at the clock, until the drill's first second has come.
const SECOND_PAUSE: Duration = Duration::from_millis(20);
/// Customers who press the button at once; more is a load test.
const AT_ONCE_MAX: u16 = 200;
/// A customer who is told to ask again does, so often.
const ASKS_MAX: usize = 5;
/// And waits a moment before.
const ASK_PAUSE: Duration = Duration::from_millis(200);

/// What to try.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Where the service takes payments and lists them: `/payments`.
    #[serde(default = "default_path")]
    pub path: String,
    /// Of each payment, in the currency's smallest unit.
    #[serde(default = "default_amount")]
    #[schemars(range(min = 1, max = 99_999_999))]
    pub amount: i64,
    /// ISO 4217, in small letters.
    #[serde(default = "default_currency")]
    pub currency: String,
    /// Customers who ask under one key at once; 1 to 200.
    #[serde(default = "default_at_once")]
    #[schemars(range(min = 1, max = 200))]
    pub at_once: u16,
}

fn default_path() -> String {
    "/payments".to_owned()
}

/// A price people know.
fn default_amount() -> i64 {
    1_999
}

fn default_currency() -> String {
    "eur".to_owned()
}

/// Enough that some of them meet within the service.
fn default_at_once() -> u16 {
    50
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Outputs {
    /// How the keys of this drill begin.
    pub keys_begin: String,
    /// Ways in which the provider went wrong meanwhile; none where it does not on demand.
    pub faults: Vec<String>,
    /// The provider's payments under these keys.
    pub payments: usize,
    /// What the service says was paid under these keys: for `payments.reconcile`.
    pub ledger: Vec<reconcile::Line>,
    /// Beginning of the time in which that was, in Unix seconds.
    pub from_unix_s: i64,
    /// Its end, not part of it.
    pub until_unix_s: i64,
}

/// What is known before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// The same in every attempt.
    keys_begin: String,
    /// The second after this look: books count whole seconds, and in this one somebody else may
    /// have paid.
    from_unix_s: i64,
}

/// The ways in which a provider for tests goes wrong on demand.
const FAULTS: [&str; 4] =
    ["lost_answer", "server_error", "server_error_after", "too_many_requests"];

/// `payments.drill`
#[derive(Debug, Clone)]
pub struct Drill {
    targets: Targets,
}

/// Where it is done.
struct Place {
    client: Client,
    service: Service,
    faults: &'static [&'static str],
}

impl Drill {
    /// For these providers.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }

    fn place(&self, cx: &Context) -> Result<Place, Failure> {
        let client = self.targets.open_for_tests(cx, "a drill pays")?;
        let service = self.targets.service(cx)?;
        let faults: &[&str] = if self.targets.of(cx)?.takes_faults { &FAULTS } else { &[] };
        Ok(Place { client, service, faults })
    }
}

impl ChangeCapability for Drill {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "drill",
            role: crate::ROLE,
            summary: "Pays through the service while its provider goes wrong: one key, one payment.",
            effect: Effect::Compensatable,
            idempotency: Idempotency::Keyed,
            checks: &[
                ("keys_without_one_payment", "the provider has exactly one of each key"),
                ("requests_not_served", "every customer was told that it is paid"),
                ("answers_that_differ", "whoever asks under one key is told the same"),
                ("other_body_status", "another payment under a used key is 409"),
                ("missing_in_the_ledger", "the service lists what was paid"),
            ],
            undo: Some(UndoPromise { verb: "refund", class: UndoClass::Semantic }),
            timeout: TIMEOUT,
            locks: &["payments:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let invalid = |text: &str| Err(Failure::new(ErrorClass::InvalidInput, text));
        if !inputs.path.starts_with('/') {
            return invalid("path: begins with /");
        }
        if inputs.amount < 1 || !(1..=AT_ONCE_MAX).contains(&inputs.at_once) {
            return invalid("amount: at least 1; at_once: 1 to 200");
        }
        let place = self.place(cx)?;
        let keys_begin = format!("drill-{}-", cx.key().effect_key());
        place.answers(inputs, &keys_begin).await?;
        let back = refund::Inputs { keys_begin: keys_begin.clone() };
        let stay = "the payments of the drill stay in the books, refunded".to_owned();
        let undo = Undo::exact("payments.refund", &back).leaving(vec![stay]);
        let before = Before { keys_begin, from_unix_s: now_unix_s() + 1 };
        Ok(Prepared { before, undo: Some(undo) })
    }

    /// Asking again under the same keys is what is drilled, so it may begin anew at any point.
    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let place = self.place(cx)?;
        while now_unix_s() < before.from_unix_s {
            tokio::time::sleep(SECOND_PAUSE).await;
        }
        let mut trials = vec![];
        for fault in place.faults {
            let trap = json!({"fault": fault, "method": "POST", "path": "/v1/payment_intents"});
            let set = place.client.set_fault(&trap).await;
            set.map_err(|fault| fault.begun("telling the provider to go wrong"))?;
            trials.push(place.trial(inputs, &format!("{}{fault}", before.keys_begin), 1).await?);
        }
        let same = format!("{}at-once", before.keys_begin);
        trials.push(place.trial(inputs, &same, inputs.at_once.into()).await?);
        let other = place.ask(inputs, &same, inputs.amount + 1).await?.status;
        let listed = place.service.get(&inputs.path).await.map_err(|e| unknown(&e))?;
        let made = made::under(&place.client, &before.keys_begin).await;
        let made = made.map_err(|fault| fault.begun("reading the payments"))?;
        let seen = Seen { trials, other_body_status: other, listed: listed.body, made };
        let outputs = Outputs {
            keys_begin: before.keys_begin.clone(),
            faults: place.faults.iter().map(|&fault| fault.to_owned()).collect(),
            payments: seen.made.len(),
            ledger: seen.ledger(&before.keys_begin),
            from_unix_s: before.from_unix_s,
            until_unix_s: now_unix_s() + 1,
        };
        let checks = seen.checks(&outputs.ledger);
        Ok(Measured::new(outputs, checks))
    }

    async fn reconcile(
        &self,
        cx: &Context,
        _: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let made = made::under(&self.place(cx)?.client, &before.keys_begin).await;
        let made = made.map_err(|fault| fault.untouched("reading the payments"))?;
        Ok(if made.is_empty() { Found::NotBegun } else { Found::Partly })
    }
}

impl Place {
    /// Both are there: a drill that cannot begin has nothing to take back.
    async fn answers(&self, inputs: &Inputs, keys_begin: &str) -> Result<(), Failure> {
        let made = made::under(&self.client, keys_begin).await;
        made.map_err(|fault| fault.untouched("reading the payments"))?;
        let text = match self.service.get(&inputs.path).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => format!("GET {} of the service is {}", inputs.path, answer.status),
            Err(silence) => silence.to_string(),
        };
        Err(Failure::new(ErrorClass::Unavailable, text)
            .help("is the revision with the endpoint served, and is `service_url` right?"))
    }

    /// So many customers at once under one key.
    async fn trial(&self, inputs: &Inputs, key: &str, many: usize) -> Result<Trial, Failure> {
        let asked = join_all((0..many).map(|_| self.ask(inputs, key, inputs.amount))).await;
        let answers = asked.into_iter().collect::<Result<Vec<Answer>, Failure>>()?;
        Ok(Trial { key: key.to_owned(), answers })
    }

    /// One customer, who asks again when told to.
    async fn ask(&self, inputs: &Inputs, key: &str, amount: i64) -> Result<Answer, Failure> {
        let body: Value =
            json!({"amount": amount, "currency": inputs.currency, "customer": "drill"});
        let mut last = self.service.post(&inputs.path, key, &body).await;
        for _ in 1..ASKS_MAX {
            match &last {
                Ok(answer) if answer.status != 503 => break,
                Ok(_) | Err(_) => tokio::time::sleep(ASK_PAUSE).await,
            }
            last = self.service.post(&inputs.path, key, &body).await;
        }
        last.map_err(|silence| unknown(&silence))
    }
}

fn unknown(silence: &Silence) -> Failure {
    Failure::new(ErrorClass::UnknownOutcome, format!("paying: {silence}"))
        .help("is the service running, and is the target's `service_url` right?")
}

fn now_unix_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
