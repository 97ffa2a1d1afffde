//! Events of the provider, again and again and in any order: each counts once.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use deadelus_shop::{Config, Database};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

use crate::common::{Open, open, seed};

const SECRET: &str = "whsec_shop";
const TABLES: &str = include_str!("../../schema/subscriptions.sql");

/// One subscription under the key `k`, as if the provider had been asked for it.
const SUBSCRIBED: &str = "INSERT INTO subscription VALUES ('k', 'cus_1', 'pro_monthly', 'sub_1')";

pub(crate) async fn an_event_counts_once_whenever_it_comes(database: Database) {
    seed(&database, 500).await;
    let folder = tempfile::tempdir().unwrap();
    let revision = folder.path().join("release.json");
    std::fs::write(&revision, r#"{"revision":"v4"}"#).unwrap();
    let settings = json!({"database": "sqlite:unused", "webhook_secret": SECRET});
    let settings: Config = serde_json::from_value(settings).unwrap();
    let config = Config { database: database.clone(), revision_file: Some(revision), ..settings };
    execute(&database, &format!("{TABLES}; {SUBSCRIBED}")).await;
    let shop = open(config).await;

    // The end is told before the beginning, and everything twice, some of it at the same time.
    let events = [ended(), paid("in_2", 31), paid("in_1", 0), created(), unknown()];
    for event in &events {
        let (one, other) = tokio::join!(tell(&shop, event, 0), tell(&shop, event, 0));
        assert_eq!((one, other), (200, 200), "{event}");
    }
    for event in events.iter().rev() {
        assert_eq!(tell(&shop, event, 0).await, 200, "{event}");
    }
    let told = shop.get("/subscriptions").await.body;
    let invoices = [invoice("in_1", 0), invoice("in_2", 31)];
    let expected = json!([{"key": "k", "customer": "cus_1", "price": "pro_monthly",
        "state": "canceled", "reference": "sub_1", "invoices": invoices}]);
    assert_eq!(told, expected);

    // Nobody else can tell anything, and nothing of the past is told again.
    let forged = paid("in_3", 62);
    assert_eq!(tell(&shop, &forged, 301).await, 401);
    assert_eq!(shop.post("/webhooks/provider", &forged).await.status, 401);
    assert_eq!(shop.get("/subscriptions").await.body, expected);
    shop.close().await;
}

fn event(id: &str, kind: &str, object: &Value) -> Value {
    json!({"id": id, "object": "event", "type": kind, "data": {"object": object}})
}

fn created() -> Value {
    event("evt_1", "customer.subscription.created", &json!({"id": "sub_1", "status": "active"}))
}

fn ended() -> Value {
    event("evt_2", "customer.subscription.deleted", &json!({"id": "sub_1", "status": "canceled"}))
}

fn unknown() -> Value {
    event("evt_3", "customer.renamed", &json!({"id": "cus_1"}))
}

fn paid(id: &str, day: i64) -> Value {
    let mut object = invoice(id, day);
    let period = json!({"start": object["period_start"], "end": object["period_end"]});
    object["lines"] = json!({"data": [{"period": period}]});
    object["subscription"] = "sub_1".into();
    object["payment_intent"] = object["payment"].take();
    object["amount_paid"] = object["amount"].take();
    event(&format!("evt_{id}"), "invoice.paid", &object)
}

/// As the shop tells it.
fn invoice(id: &str, day: i64) -> Value {
    json!({"id": id, "payment": format!("pi_{id}"), "currency": "eur", "amount": 2_500,
        "period_start": day * 86_400, "period_end": (day + 31) * 86_400})
}

/// The status of the answer to an event that was signed so many seconds ago.
async fn tell(shop: &Open, event: &Value, seconds_ago: u64) -> u16 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - seconds_ago;
    let mut mac = Hmac::<hmac_sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{now}.{event}").as_bytes());
    let mut signature = format!("t={now},v1=");
    for byte in mac.finalize().into_bytes() {
        write!(signature, "{byte:02x}").unwrap();
    }
    shop.post_with("/webhooks/provider", event, &format!("stripe-signature: {signature}\r\n"))
        .await
        .status
}

async fn execute(database: &Database, sql: &str) {
    match database {
        Database::Sqlite(path) => {
            rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
        }
        Database::Postgres(server) => {
            crate::common::connect(server).await.batch_execute(sql).await.unwrap();
        }
    }
}
