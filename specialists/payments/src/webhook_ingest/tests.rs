//! With the reference shop, over HTTP and on SQLite, and with shops that get it wrong.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{delete, get, post},
};
use deadelus_provider::Fault as Trapped;
use deadelus_runtime::Secret;
use deadelus_shop::{Config, Database, Seed};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::{signature, testing::Shop};

const SECRET: &str = "whsec_hunter2";
const TABLES: &str = include_str!("../../../../tests/shop/schema/subscriptions.sql");

fn inputs() -> Inputs {
    serde_json::from_value(json!({"price": "pro_monthly"})).unwrap()
}

/// A provider that sells one price, and who does business with it.
async fn provider(service: &TcpListener) -> Shop {
    let service_url = format!("http://{}", service.local_addr().unwrap());
    let more = json!({"service_url": service_url, "webhook_secrets": [SECRET]});
    let shop = Shop::with(more).await;
    shop.post("/v1/products", &[("id", "pro"), ("name", "Pro")]).await;
    let price = [
        ("product", "pro"),
        ("currency", "eur"),
        ("unit_amount", "2500"),
        ("recurring[interval]", "month"),
        ("lookup_key", "pro_monthly"),
    ];
    shop.post("/v1/prices", &price).await;
    shop
}

/// The reference shop at v4.
async fn open() -> (Shop, WebhookIngest, TempDir) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shop = provider(&listener).await;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("shop.db");
    let seed = Seed { order_lines: 100, seed: 1, replace: false };
    deadelus_shop::seed(&Database::Sqlite(database.clone()), seed).await.unwrap();
    rusqlite::Connection::open(&database).unwrap().execute_batch(TABLES).unwrap();
    let revision = folder.path().join("revision.json");
    std::fs::write(&revision, r#"{"revision":"v4"}"#).unwrap();
    let config = json!({
        "database": format!("sqlite:{}", database.display()),
        "revision_file": revision,
        "provider_url": shop.url,
        "provider_key": "sk_test_shop",
        "webhook_secret": SECRET,
    });
    let config: Config = serde_json::from_value(config).unwrap();
    let never = std::future::pending();
    tokio::spawn(async move { deadelus_shop::serve(config, listener, never).await.unwrap() });
    let ingest = WebhookIngest::new(shop.targets.clone());
    (shop, ingest, folder)
}

fn failed(done: &Measured<Outputs>) -> Vec<&str> {
    done.checks.iter().filter(|check| !check.pass).map(|check| check.id.as_str()).collect()
}

async fn back(shop: &Shop, undo: &deadelus_runtime::Undo) -> Vec<String> {
    let inputs = serde_json::from_value(undo.inputs.clone()).unwrap();
    let drop = clock_drop::ClockDrop::new(shop.targets.clone());
    let before = drop.prepare(&shop.cx, &inputs).await.unwrap().before;
    let done = drop.perform(&shop.cx, &inputs, &before).await.unwrap();
    assert!(done.checks.iter().all(|check| check.pass), "{:?}", done.checks);
    assert!(shop.provider.objects("subscription").is_empty());
    done.residue
}

#[tokio::test]
async fn the_shop_hears_each_event_once_and_is_told_the_end() {
    let (shop, ingest, _folder) = open().await;
    let prepared = ingest.prepare(&shop.cx, &inputs()).await.unwrap();
    let found = ingest.reconcile(&shop.cx, &inputs(), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::NotBegun), "{found:?}");
    let mut first = None;
    for _ in 0..2 {
        let done = ingest.perform(&shop.cx, &inputs(), &prepared.before).await.unwrap();
        assert_eq!(failed(&done), Vec::<&str>::new(), "{:?}", done.checks);
        assert!(!format!("{done:?}").contains("hunter2"));
        // One stays for the beginning and three months, one for the beginning and the first.
        assert_eq!(done.outputs.ledger.len(), 4 + 2);
        assert!(done.outputs.ledger.iter().all(|line| line.amount == 2_500));
        assert_eq!(done.outputs.deliveries, 3 * done.outputs.events + 1);
        let first = first.get_or_insert_with(|| done.outputs.clone());
        assert_eq!(*first, done.outputs, "twice is once");
    }
    let found = ingest.reconcile(&shop.cx, &inputs(), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Partly), "its answers are not kept: it is asked again");

    let residue = back(&shop, &prepared.undo.unwrap()).await;
    let told = |line: &&String| line.starts_with("the service keeps its record of sub_");
    assert!(residue.len() == 2 && residue.iter().all(|line| told(&line)), "{residue:?}");
    let service = shop.targets.service(&shop.cx).unwrap();
    let listed = service.get("/subscriptions").await.unwrap().body;
    let states: Vec<&Value> = listed.as_array().unwrap().iter().map(|s| &s["state"]).collect();
    assert_eq!(states, ["canceled", "canceled"]);
}

/// Whatever goes wrong at whichever request, of the shop's or of ours.
#[tokio::test]
async fn whatever_fails_wherever_it_is_done_once_or_taken_back() {
    let faults = [
        Trapped::LostAnswer,
        Trapped::ServerError,
        Trapped::ServerErrorAfter,
        Trapped::TooManyRequests,
    ];
    for (round, fault) in faults.into_iter().enumerate() {
        for skip in 0..6 {
            let (shop, ingest, _folder) = open().await;
            let prepared = ingest.prepare(&shop.cx, &inputs()).await.unwrap();
            shop.trap(fault, "/v1/", skip);
            let place = format!("{fault:?} after {skip}");
            match ingest.perform(&shop.cx, &inputs(), &prepared.before).await {
                Ok(done) => assert_eq!(failed(&done), Vec::<&str>::new(), "{place}"),
                Err(failure) => {
                    assert_eq!(failure.class, ErrorClass::UnknownOutcome, "{place}: {failure}");
                    if (round + skip as usize).is_multiple_of(2) {
                        back(&shop, &prepared.undo.unwrap()).await;
                        continue;
                    }
                    let done = ingest.perform(&shop.cx, &inputs(), &prepared.before).await;
                    assert_eq!(failed(&done.unwrap()), Vec::<&str>::new(), "{place}");
                }
            }
        }
    }
}

/// After an undo the same task begins with another clock, and the shop with other subscriptions.
#[tokio::test]
async fn taken_back_in_the_middle_it_can_be_done_anew() {
    let (shop, ingest, _folder) = open().await;
    let prepared = ingest.prepare(&shop.cx, &inputs()).await.unwrap();
    shop.trap(Trapped::Hang, "/v1/test_helpers/test_clocks/", 1);
    let worker = {
        let (ingest, cx, before) = (ingest.clone(), shop.cx.clone(), prepared.before.clone());
        tokio::spawn(async move { ingest.perform(&cx, &inputs(), &before).await })
    };
    let lived = async {
        while shop.provider.objects("invoice").len() < 5 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), lived).await.unwrap();
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    let found = ingest.reconcile(&shop.cx, &inputs(), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Partly), "{found:?}");
    back(&shop, prepared.undo.as_ref().unwrap()).await;
    let found = ingest.reconcile(&shop.cx, &inputs(), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::NotBegun), "{found:?}");
    let done = ingest.perform(&shop.cx, &inputs(), &prepared.before).await.unwrap();
    assert_eq!(failed(&done), Vec::<&str>::new(), "{:?}", done.checks);
}

/// How a service gets it wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// It counts an event as often as it comes.
    CountsTwice,
    /// The last event that it hears of says what is so.
    BelievesTheLast,
    /// It looks at no signature.
    BelievesAnybody,
    /// It looks at the signature and not at the time.
    BelievesThePast,
    /// It makes up a key for each request.
    SubscribesTwice,
    /// What it does not know it refuses.
    RefusesTheUnheard,
}

/// A service that keeps everything in memory.
#[derive(Clone)]
struct Memory {
    wrong: Wrong,
    client: Client,
    entries: Arc<tokio::sync::Mutex<Vec<Value>>>,
    heard: Arc<Mutex<Vec<String>>>,
}

async fn subscribe(
    State(memory): State<Memory>,
    headers: HeaderMap,
    Json(wish): Json<Value>,
) -> Json<Value> {
    let key = headers["idempotency-key"].to_str().unwrap();
    let mut entries = memory.entries.lock().await;
    if let Some(known) = entries.iter().find(|entry| entry["key"] == key)
        && memory.wrong != Wrong::SubscribesTwice
    {
        return Json(known.clone());
    }
    let prices = memory.client.list("/v1/prices", &vec![]).await.unwrap();
    let sold = prices.iter().find(|price| price["lookup_key"] == wish["price"]).unwrap();
    let form = [
        ("customer", wish["customer"].as_str().unwrap()),
        ("items[0][price]", sold["id"].as_str().unwrap()),
    ];
    let made = memory.client.post("/v1/subscriptions", &clock::owned(&form), None).await.unwrap();
    let entry = json!({"key": key, "reference": made["id"], "state": "active", "invoices": []});
    entries.push(entry.clone());
    Json(entry)
}

async fn end(
    State(memory): State<Memory>,
    axum::extract::Path(key): axum::extract::Path<String>,
) -> StatusCode {
    let entries = memory.entries.lock().await;
    let entry = entries.iter().find(|entry| entry["key"] == key).unwrap();
    let path = format!("/v1/subscriptions/{}", entry["reference"].as_str().unwrap());
    memory.client.delete(&path).await.unwrap();
    StatusCode::NO_CONTENT
}

async fn list(State(memory): State<Memory>) -> Json<Value> {
    Json(memory.entries.lock().await.clone().into())
}

async fn hear(State(memory): State<Memory>, headers: HeaderMap, body: String) -> StatusCode {
    let header = headers.get("stripe-signature").map_or("", |value| value.to_str().unwrap());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    let tolerance = if memory.wrong == Wrong::BelievesThePast { i64::MAX } else { 300 };
    let secrets = [Secret::from(SECRET.to_owned())];
    let believed = signature::verify(&body, header, &secrets, tolerance, now).is_ok();
    if !believed && memory.wrong != Wrong::BelievesAnybody {
        return StatusCode::UNAUTHORIZED;
    }
    let event: Value = serde_json::from_str(&body).unwrap();
    let mut entries = memory.entries.lock().await;
    let mut heard = memory.heard.lock().unwrap();
    let id = event["id"].as_str().unwrap().to_owned();
    if heard.contains(&id) && memory.wrong != Wrong::CountsTwice {
        return StatusCode::OK;
    }
    heard.push(id);
    let object = &event["data"]["object"];
    let about = object["subscription"].as_str().or(object["id"].as_str());
    let entry = entries.iter_mut().find(|entry| entry["reference"].as_str() == about);
    match (event["type"].as_str().unwrap(), entry) {
        ("invoice.paid", Some(entry)) => {
            let invoice = json!({"id": object["id"], "payment": object["payment_intent"],
                "currency": object["currency"], "amount": object["amount_paid"]});
            entry["invoices"].as_array_mut().unwrap().push(invoice);
        }
        ("customer.subscription.deleted", Some(entry)) => entry["state"] = "canceled".into(),
        ("customer.subscription.updated" | "customer.subscription.created", Some(entry)) => {
            if memory.wrong == Wrong::BelievesTheLast {
                entry["state"] = object["status"].clone();
            }
        }
        (_, None) if memory.wrong == Wrong::RefusesTheUnheard => return StatusCode::BAD_REQUEST,
        (_, _) => {}
    }
    StatusCode::OK
}

async fn judged(wrong: Wrong) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shop = provider(&listener).await;
    let client = shop.targets.open(&shop.cx).unwrap();
    let memory = Memory { wrong, client, entries: Arc::default(), heard: Arc::default() };
    let router = Router::new()
        .route("/subscriptions", get(list).post(subscribe))
        .route("/subscriptions/{key}", delete(end))
        .route("/webhooks/provider", post(hear))
        .with_state(memory);
    tokio::spawn(async { axum::serve(listener, router).await });
    let ingest = WebhookIngest::new(shop.targets.clone());
    let before = ingest.prepare(&shop.cx, &inputs()).await.unwrap().before;
    let done = ingest.perform(&shop.cx, &inputs(), &before).await.unwrap();
    failed(&done).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn whoever_gets_it_wrong_is_found_out() {
    assert_eq!(judged(Wrong::Nothing).await, Vec::<String>::new());
    assert_eq!(judged(Wrong::CountsTwice).await, ["invoices_that_differ"]);
    assert_eq!(judged(Wrong::BelievesTheLast).await, ["states_that_differ"]);
    // What was forged is an invoice: it is in the record too.
    let past = ["forgeries_accepted", "invoices_that_differ"];
    assert_eq!(judged(Wrong::BelievesThePast).await, past);
    assert_eq!(judged(Wrong::BelievesAnybody).await, past);
    assert_eq!(judged(Wrong::RefusesTheUnheard).await, ["deliveries_refused"]);
    let twice = judged(Wrong::SubscribesTwice).await;
    assert!(twice.contains(&"keys_without_one_subscription".to_owned()), "{twice:?}");
}

#[tokio::test]
async fn what_cannot_be_tried_is_refused_before_anybody_subscribes() {
    let (shop, ingest, _folder) = open().await;
    for bad in [
        Inputs { price: String::new(), ..inputs() },
        Inputs { months: 0, ..inputs() },
        Inputs { months: MONTHS_MAX + 1, ..inputs() },
        Inputs { webhooks: "webhooks".to_owned(), ..inputs() },
    ] {
        let refused = ingest.prepare(&shop.cx, &bad).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.class, ErrorClass::InvalidInput, "{bad:?}");
    }
    let nowhere = Inputs { path: "/nowhere".to_owned(), ..inputs() };
    let refused = ingest.prepare(&shop.cx, &nowhere).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.class, ErrorClass::Unavailable);
    assert!(shop.provider.objects("customer").is_empty());

    let live = json!({"api_key": "sk_live_1", "production": true, "allow_live": true});
    let without_secret = json!({"service_url": "http://127.0.0.1:1"});
    for (more, class) in [(live, ErrorClass::Denied), (without_secret, ErrorClass::Unsupported)] {
        let shop = Shop::with(more).await;
        let ingest = WebhookIngest::new(shop.targets.clone());
        let refused = ingest.prepare(&shop.cx, &inputs()).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.class, class);
    }
}
