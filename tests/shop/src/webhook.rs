//! What the provider tells by itself: signed, sent more than once, in no order. An event counts by
//! its id and once, together with what it changes; what changes never depends on what came before.
//!
//! The scheme is <https://docs.stripe.com/webhooks/signature>: HMAC-SHA256 over `{t}.{body}`.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use hmac_sha2::Sha256;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::shop::{Shop, ShopError};
use crate::store::{Lease, Statement, Value};
use crate::visit::Visit;

/// As the provider's own clients have it: an older one may be repeated by somebody.
const TOLERANCE_S: i64 = 300;

/// What the provider signs with. Never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct WebhookSecret(String);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Shop {
    /// Takes an event in, if it is the provider's and of now. Of a kind that means nothing here it
    /// is remembered all the same.
    pub(crate) async fn hear(
        &self,
        visit: &Visit,
        body: &str,
        signature: &str,
        now_unix_s: i64,
    ) -> Result<(), ShopError> {
        let secret = self.config.webhook_secret.as_ref();
        let secret = secret.ok_or(ShopError::Forged("this shop has no secret to know it by"))?;
        believe(body, signature, secret, now_unix_s).map_err(ShopError::Forged)?;
        let no_event = ShopError::Basket("the body is no event");
        let event = serde_json::from_str::<Json>(body).ok().and_then(|json| Event::read(&json));
        let event = event.ok_or(no_event)?;
        let mut lease = self.pool.lease(visit).await?;
        lease.begin().await?;
        let heard = event.write(&mut lease).await;
        lease.end(heard).await
    }
}

/// What is kept of an event.
struct Event {
    id: String,
    kind: String,
    /// The subscription that it is about, or whatever else it is about.
    about: String,
    paid: Option<Invoice>,
}

/// An invoice that is paid.
struct Invoice {
    id: String,
    payment: String,
    currency: String,
    amount: i64,
    period_start: i64,
    period_end: i64,
}

impl Event {
    fn read(json: &Json) -> Option<Self> {
        let (kind, object) = (text(&json["type"])?, &json["data"]["object"]);
        let paid = if kind == "invoice.paid" { Some(Invoice::read(object)?) } else { None };
        let about = text(&object["subscription"]).or_else(|| text(&object["id"]));
        Some(Self { id: text(&json["id"])?, kind, about: about.unwrap_or_default(), paid })
    }

    /// In one transaction: whoever brings it again finds it there, with all that it means.
    async fn write(self, lease: &mut Lease) -> Result<(), ShopError> {
        let Self { id, kind, about, paid } = self;
        let with = [id, kind, about.clone()].map(Value::Text);
        if lease.run(Statement::InsertEvent, &with).await?.count == 0 {
            return Ok(());
        }
        let Some(paid) = paid else { return Ok(()) };
        let with = [
            Value::Text(paid.id),
            Value::Text(about),
            Value::Text(paid.payment),
            Value::Text(paid.currency),
            Value::Int(paid.amount),
            Value::Int(paid.period_start),
            Value::Int(paid.period_end),
        ];
        lease.run(Statement::InsertInvoice, &with).await?;
        Ok(())
    }
}

impl Invoice {
    fn read(object: &Json) -> Option<Self> {
        let period = &object["lines"]["data"][0]["period"];
        Some(Self {
            id: text(&object["id"])?,
            payment: text(&object["payment_intent"])?,
            currency: text(&object["currency"])?,
            amount: object["amount_paid"].as_i64()?,
            period_start: period["start"].as_i64()?,
            period_end: period["end"].as_i64()?,
        })
    }
}

fn text(value: &Json) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Any of the header's `v1` may be right. Time is judged last: what is forged is told nothing.
fn believe(
    body: &str,
    header: &str,
    secret: &WebhookSecret,
    now_unix_s: i64,
) -> Result<(), &'static str> {
    let values = |name: &'static str| {
        let pairs = header.split(',').filter_map(|item| item.split_once('='));
        pairs.filter(move |(n, _)| *n == name).map(|(_, value)| value)
    };
    let stamp = values("t").next().ok_or("it has no time")?;
    let signed: i64 = stamp.parse().map_err(|_| "its time is none")?;
    let mac = Hmac::<Sha256>::new_from_slice(secret.0.as_bytes()).map_err(|_| "no secret")?;
    let mac = mac.chain_update(format!("{stamp}.{body}"));
    // The comparison takes the same time wherever the two differ.
    let proven = |digest: Vec<u8>| mac.clone().verify_slice(&digest).is_ok();
    if !values("v1").filter_map(digest).any(proven) {
        return Err("no signature fits");
    }
    if now_unix_s.abs_diff(signed) > TOLERANCE_S.unsigned_abs() {
        return Err("it is not of now");
    }
    Ok(())
}

/// The bytes of hexadecimal digits.
fn digest(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|p| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By OpenSSL: `printf '1700000000.{"id": "evt_1"}' | openssl dgst -sha256 -hmac whsec_a`.
    const V1: &str = "959e681f2eb761e01462d4257e1912530636dfce927fda01a1c443dbaa6aa0c7";
    const NOW: i64 = 1_700_000_000;

    #[test]
    fn what_is_believed_is_signed_whole_and_of_now() {
        let secret = WebhookSecret("whsec_a".to_owned());
        let judge = |body: &str, header: &str, now| believe(body, header, &secret, now).is_ok();
        let (body, header) = (r#"{"id": "evt_1"}"#, format!("t={NOW},v1={V1}"));
        assert!(judge(body, &header, NOW) && judge(body, &header, NOW + TOLERANCE_S));
        assert!(judge(body, &format!("t={NOW},v1=00,v1={V1}"), NOW));
        for (body, header, now) in [
            (body, header.as_str(), NOW + TOLERANCE_S + 1),
            (body, header.as_str(), NOW - TOLERANCE_S - 1),
            (r#"{"id":"evt_1"}"#, header.as_str(), NOW),
            (body, &format!("t=1{NOW},v1={V1}"), NOW),
            (body, &format!("t={NOW},v0={V1}"), NOW),
            (body, &format!("v1={V1}"), NOW),
            (body, &format!("t={NOW},v1=xyz"), NOW),
            (body, "", NOW),
        ] {
            assert!(!judge(body, header, now), "{header}");
        }
        assert!(!format!("{secret:?}").contains("whsec"));
    }
}
