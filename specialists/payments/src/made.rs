//! The provider's payments that were made under keys of one kind: a service remembers its client's
//! key in the payment's metadata, as `payment_key`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Client, Fault};

/// Where a service writes its client's key.
pub(crate) const KEY: &str = "payment_key";

/// A payment, and what of it was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) currency: String,
    pub(crate) amount: i64,
    pub(crate) received: i64,
    pub(crate) refunded: i64,
    /// Why its card was declined, in the bank's word.
    pub(crate) declined: Option<String>,
}

impl Made {
    /// What its customer has paid and not got back.
    pub(crate) fn kept(&self) -> i64 {
        self.received - self.refunded
    }

    /// Whether it could still be paid.
    pub(crate) fn is_open(&self) -> bool {
        self.status.starts_with("requires_")
    }
}

/// All payments whose key begins so, or a fault: never a part.
pub(crate) async fn under(client: &Client, prefix: &str) -> Result<Vec<Made>, Fault> {
    let mut all = vec![];
    for payment in client.list("/v1/payment_intents", &vec![]).await? {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let Some(key) = text(&payment["metadata"][KEY]).filter(|key| key.starts_with(prefix))
        else {
            continue;
        };
        let read = (text(&payment["id"]), text(&payment["status"]), text(&payment["currency"]));
        let (Some(id), Some(status), Some(currency)) = read else {
            let why = "a payment has no id, status or currency";
            return Err(Fault::Truncated { path: "/v1/payment_intents".to_owned(), why });
        };
        let of_it = vec![("payment_intent".to_owned(), id.clone())];
        let refunds = client.list("/v1/refunds", &of_it).await?;
        let refunded = refunds.iter().filter_map(|refund| refund["amount"].as_i64()).sum();
        let received = payment["amount_received"].as_i64().unwrap_or_default();
        let amount = payment["amount"].as_i64().unwrap_or_default();
        let error = &payment["last_payment_error"];
        let declined = text(&error["decline_code"]).or_else(|| text(&error["code"]));
        all.push(Made { key, id, status, currency, amount, received, refunded, declined });
    }
    Ok(all)
}
