//! Time at the provider that can be moved: a test clock, the customers who live by it, and what they
//! are billed. <https://docs.stripe.com/billing/testing/test-clocks/api-advanced-usage>
//!
//! Everything is found again by the clock's name, which comes from the task. So nothing here is
//! made twice, whoever is killed when.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::client::{Client, Fault, Form};

const CLOCKS: &str = "/v1/test_helpers/test_clocks";
/// How often one thing is asked for: an answer may be lost, and a failure may be repeated.
const TRIES_MAX: u32 = 4;
/// Between two tries, and between two looks at a clock that is on its way.
const PAUSE: Duration = Duration::from_millis(100);
/// Looks at a clock that is on its way: half a minute, for one or two invoices of each customer.
const LOOKS_MAX: u32 = 300;
/// Under which name a customer remembers who it stands for.
pub(crate) const WHO: &str = "deadelus";

/// A test clock.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    pub(crate) id: String,
    name: String,
    /// Where it stands, in Unix seconds.
    pub(crate) at: i64,
}

/// What is asked of the provider so that one object is there.
pub(crate) struct Wanted<'a> {
    /// Where such objects are made.
    pub(crate) path: &'a str,
    pub(crate) form: &'a [(&'a str, &'a str)],
    /// The list to look for it in, and what narrows it.
    pub(crate) list: &'a str,
    pub(crate) narrow: &'a [(&'a str, &'a str)],
    /// Of the key of idempotency: which of those that are made there.
    pub(crate) key: &'a str,
}

/// A thing that is there now, and the key it was made under if it was made now.
pub(crate) struct Got {
    pub(crate) object: Value,
    pub(crate) made_under: Option<String>,
}

impl Wanted<'_> {
    pub(crate) fn form(&self) -> Form {
        owned(self.form)
    }

    /// Looks, and makes it if it is not there. What failed is looked for again before it is asked
    /// for again: a 500 may hide an effect, and is repeated under its key for a day.
    pub(crate) async fn get(
        &self,
        client: &Client,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Got, Fault> {
        let mut broken = 0;
        let mut tries = 0;
        // What an earlier attempt made and took back is not to be told again as if it were there.
        let nonce = now_unix_ms();
        loop {
            let all = client.list(self.list, &owned(self.narrow)).await?;
            if let Some(object) = all.into_iter().find(&is_it) {
                return Ok(Got { object, made_under: None });
            }
            let key = format!("{}{}.{nonce}.{broken}", self.key, self.path);
            tries += 1;
            match client.post(self.path, &self.form(), Some(&key)).await {
                Ok(object) => return Ok(Got { object, made_under: Some(key) }),
                Err(Fault::Broken { .. }) if tries < TRIES_MAX => broken += 1,
                Err(Fault::Lost(_) | Fault::Busy) if tries < TRIES_MAX => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}

impl Clock {
    /// The clock of this name; it stands at `at_unix_s` if there was none.
    pub(crate) async fn start(client: &Client, name: &str, at_unix_s: i64) -> Result<Self, Fault> {
        let at = at_unix_s.to_string();
        let wanted = Wanted {
            path: CLOCKS,
            form: &[("name", name), ("frozen_time", &at)],
            list: CLOCKS,
            narrow: &[],
            key: name,
        };
        let got = wanted.get(client, |clock| clock["name"] == name).await?;
        let (id, at) = (id(&got.object, CLOCKS)?, got.object["frozen_time"].as_i64());
        Ok(Self { id, name: name.to_owned(), at: at.unwrap_or(at_unix_s) })
    }

    /// The provider's id of a customer on this clock who stands for `who`.
    pub(crate) async fn customer(&self, client: &Client, who: &str) -> Result<String, Fault> {
        let path = "/v1/customers";
        let remembers = format!("metadata[{WHO}]");
        let wanted = Wanted {
            path,
            form: &[
                ("test_clock", &self.id),
                (&remembers, who),
                ("payment_method", "pm_card_visa"),
                ("invoice_settings[default_payment_method]", "pm_card_visa"),
            ],
            list: path,
            narrow: &[("test_clock", &self.id)],
            key: &format!("{}.{who}", self.name),
        };
        let got = wanted.get(client, |customer| customer["metadata"][WHO] == who).await?;
        id(&got.object, path)
    }

    /// Moves it there and waits until everything that falls due is done. A provider moves a clock by
    /// two of its shortest periods at most.
    pub(crate) async fn advance(&mut self, client: &Client, to_unix_s: i64) -> Result<(), Fault> {
        let path = format!("{CLOCKS}/{}", self.id);
        let mut tries = 0;
        while self.at < to_unix_s {
            let form = owned(&[("frozen_time", &to_unix_s.to_string())]);
            tries += 1;
            match client.post(&format!("{path}/advance"), &form, None).await {
                Ok(_) => {}
                // The look that follows says how far it got.
                Err(Fault::Broken { .. } | Fault::Lost(_) | Fault::Busy) if tries < TRIES_MAX => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(fault) => return Err(fault),
            }
            self.at = self.settled(client, &path).await?;
        }
        Ok(())
    }

    async fn settled(&self, client: &Client, path: &str) -> Result<i64, Fault> {
        for _ in 0..LOOKS_MAX {
            let clock = client.get(path).await?;
            let clock = clock.ok_or_else(|| odd(path, "the clock is gone"))?;
            if clock["status"] == "ready" {
                return clock["frozen_time"].as_i64().ok_or_else(|| odd(path, "it has no time"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(odd(path, "the clock does not arrive"))
    }
}

/// Every clock of this name.
pub(crate) async fn named(client: &Client, name: &str) -> Result<Vec<String>, Fault> {
    let clocks = client.list(CLOCKS, &vec![]).await?;
    clocks.iter().filter(|clock| clock["name"] == name).map(|clock| id(clock, CLOCKS)).collect()
}

/// The customers of a clock, by the provider's ids.
pub(crate) async fn customers(client: &Client, clock: &str) -> Result<Vec<String>, Fault> {
    let path = "/v1/customers";
    let all = client.list(path, &owned(&[("test_clock", clock)])).await?;
    all.iter().map(|customer| id(customer, path)).collect()
}

/// Deletes a clock, with everything that lives by it.
pub(crate) async fn delete(client: &Client, clock: &str) -> Result<(), Fault> {
    gone(client.delete(&format!("{CLOCKS}/{clock}")).await)
}

/// What is gone already need not be deleted.
pub(crate) fn gone(deleted: Result<Value, Fault>) -> Result<(), Fault> {
    match deleted {
        Ok(_) | Err(Fault::Refused { status: 404, .. }) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Everything of a customer in a list, oldest first.
pub(crate) async fn of(client: &Client, path: &str, customer: &str) -> Result<Vec<Value>, Fault> {
    let mut all = client.list(path, &owned(&[("customer", customer)])).await?;
    all.reverse();
    Ok(all)
}

/// The id of an object, or a fault: without one nothing can be said of it.
pub(crate) fn id(object: &Value, path: &str) -> Result<String, Fault> {
    object["id"].as_str().map(str::to_owned).ok_or_else(|| odd(path, "an object has no id"))
}

pub(crate) fn owned(form: &[(&str, &str)]) -> Form {
    form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn odd(path: &str, why: &'static str) -> Fault {
    Fault::Truncated { path: path.to_owned(), why }
}

fn now_unix_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}
