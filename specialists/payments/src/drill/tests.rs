use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use deadelus_provider::Fault as Trapped;
use tokio::{net::TcpListener, sync::Mutex};

use super::*;
use crate::testing::Shop;

/// How a service gets it wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// It makes up a key for each request.
    PaysTwice,
    /// It answers what was paid under the key, whatever is asked.
    NeverRefuses,
    /// It writes nothing down.
    KeepsNoBooks,
}

/// A service that takes one payment after the other.
#[derive(Clone)]
struct Till {
    wrong: Wrong,
    client: Client,
    books: Arc<Mutex<BTreeMap<String, (i64, Value)>>>,
}

async fn pay(
    State(till): State<Till>,
    headers: HeaderMap,
    Json(order): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let amount = order["amount"].as_i64().unwrap();
    let mut books = till.books.lock().await;
    if let Some((paid, told)) = books.get(&key)
        && till.wrong != Wrong::PaysTwice
    {
        let other = *paid != amount && till.wrong != Wrong::NeverRefuses;
        let status = if other { StatusCode::CONFLICT } else { StatusCode::OK };
        return (status, Json(told.clone()));
    }
    let form = [
        ("amount", amount.to_string()),
        ("currency", "eur".to_owned()),
        ("payment_method", "pm_card_visa".to_owned()),
        ("confirm", "true".to_owned()),
        ("metadata[payment_key]", key.clone()),
    ];
    let form: Vec<_> = form.map(|(name, value)| (name.to_owned(), value)).into();
    for broken in 0..4 {
        // The last answer's failure is repeated under its key; the provider says what was done.
        let under = format!(
            "till-{key}-{broken}-{}",
            if till.wrong == Wrong::PaysTwice { books.len() } else { 0 }
        );
        let _ = till.client.post("/v1/payment_intents", &form, Some(&under)).await;
        let made = made::under(&till.client, &key).await.unwrap_or_default();
        if let Some(paid) = made.last() {
            let told =
                json!({"key": key, "amount": amount, "currency": "eur", "reference": paid.id});
            let at =
                if till.wrong == Wrong::PaysTwice { format!("{key}{}", books.len()) } else { key };
            books.insert(at, (amount, told.clone()));
            return (StatusCode::CREATED, Json(told));
        }
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(Value::Null))
}

async fn books(State(till): State<Till>) -> Json<Value> {
    let books = till.books.lock().await;
    let told = books.values().map(|(_, told)| told.clone());
    Json(if till.wrong == Wrong::KeepsNoBooks { json!([]) } else { told.collect() })
}

/// A provider, a till that gets this wrong, and the drill of both.
async fn drill(wrong: Wrong) -> (Shop, Drill) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service_url = format!("http://{}", listener.local_addr().unwrap());
    let shop = Shop::with(json!({"service_url": service_url, "takes_faults": true})).await;
    let client = shop.targets.open(&shop.cx).unwrap();
    let till = Till { wrong, client, books: Arc::default() };
    let router = Router::new().route("/payments", get(books).post(pay)).with_state(till);
    tokio::spawn(async { axum::serve(listener, router).await });
    let drill = Drill::new(shop.targets.clone());
    (shop, drill)
}

fn inputs() -> Inputs {
    serde_json::from_value(json!({"at_once": 8})).unwrap()
}

async fn failed(wrong: Wrong) -> Vec<String> {
    let (shop, drill) = drill(wrong).await;
    let before = drill.prepare(&shop.cx, &inputs()).await.unwrap().before;
    let done = drill.perform(&shop.cx, &inputs(), &before).await.unwrap();
    done.checks.into_iter().filter(|check| !check.pass).map(|check| check.id).collect()
}

#[tokio::test]
async fn whoever_gets_it_wrong_is_found_out() {
    assert_eq!(failed(Wrong::Nothing).await, Vec::<String>::new());
    let twice = failed(Wrong::PaysTwice).await;
    assert!(twice.contains(&"keys_without_one_payment".to_owned()), "{twice:?}");
    assert_eq!(failed(Wrong::NeverRefuses).await, ["other_body_status"]);
    assert_eq!(failed(Wrong::KeepsNoBooks).await, ["missing_in_the_ledger"]);
}

#[tokio::test]
async fn it_may_be_done_again_and_is_taken_back_whole() {
    let (shop, drill) = drill(Wrong::Nothing).await;
    let prepared = drill.prepare(&shop.cx, &inputs()).await.unwrap();
    let before = prepared.before;
    let found = drill.reconcile(&shop.cx, &inputs(), &before).await.unwrap();
    assert!(matches!(found, Found::NotBegun));
    let once = drill.perform(&shop.cx, &inputs(), &before).await.unwrap().outputs;
    let found = drill.reconcile(&shop.cx, &inputs(), &before).await.unwrap();
    assert!(matches!(found, Found::Partly), "its answers are not kept: it is asked again");
    let twice = drill.perform(&shop.cx, &inputs(), &before).await.unwrap();
    assert!(twice.checks.iter().all(|check| check.pass), "{:?}", twice.checks);
    assert_eq!((twice.outputs.payments, &twice.outputs.ledger), (5, &once.ledger));
    let undo = prepared.undo.unwrap();
    let back: refund::Inputs = serde_json::from_value(undo.inputs).unwrap();
    let refund = refund::Refund::new(shop.targets.clone());
    let known = refund.prepare(&shop.cx, &back).await.unwrap().before;
    // A fault that nothing has met yet may meet the way back.
    shop.trap(Trapped::LostAnswer, "/v1/refunds", 2);
    assert!(refund.perform(&shop.cx, &back, &known).await.is_err());
    let done = refund.perform(&shop.cx, &back, &known).await.unwrap();
    assert!(done.checks.iter().all(|check| check.pass), "{:?}", done.checks);
    assert_eq!(done.outputs.refunded.len(), 5);
}

#[tokio::test]
async fn it_pays_with_no_live_key_and_without_no_service() {
    let shop = Shop::open().await;
    let drill = Drill::new(shop.targets.clone());
    let refused = drill.prepare(&shop.cx, &inputs()).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.class, ErrorClass::InvalidInput);
    assert!(refused.help.contains("service_url"), "{refused:?}");
    let live = json!({"api_key": "sk_live_1", "production": true, "allow_live": true});
    let shop = Shop::with(live).await;
    let drill = Drill::new(shop.targets.clone());
    let refused = drill.prepare(&shop.cx, &inputs()).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.class, ErrorClass::Denied);
}
