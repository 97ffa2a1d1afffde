use deadelus_provider::Fault as Trapped;
use futures_util::future::join_all;
use serde_json::json;

use super::*;
use crate::testing::{KEY as API_KEY, Shop};

fn inputs(amount: i64) -> Inputs {
    let (currency, payment_method) = ("eur".to_owned(), "pm_card_visa".to_owned());
    Inputs { amount, currency, payment_method, customer: None }
}

async fn back(shop: &Shop, undo: &Undo) -> Vec<String> {
    let inputs = serde_json::from_value(undo.inputs.clone()).unwrap();
    let refund = refund::Refund::new(shop.targets.clone());
    let before = refund.prepare(&shop.cx, &inputs).await.unwrap().before;
    let done = refund.perform(&shop.cx, &inputs, &before).await.unwrap();
    assert!(done.checks.iter().all(|check| check.pass), "{:?}", done.checks);
    done.residue
}

#[tokio::test]
async fn one_key_is_one_payment_whatever_fails_and_it_goes_back() {
    let faults = [
        None,
        Some(Trapped::LostAnswer),
        Some(Trapped::ServerError),
        Some(Trapped::ServerErrorAfter),
        Some(Trapped::TooManyRequests),
    ];
    for fault in faults {
        let shop = Shop::open().await;
        let charge = Charge::new(shop.targets.clone());
        let prepared = charge.prepare(&shop.cx, &inputs(1_999)).await.unwrap();
        if let Some(fault) = fault {
            shop.trap(fault, "/v1/payment_intents", 0);
        }
        for _ in 0..2 {
            let paid = charge.perform(&shop.cx, &inputs(1_999), &prepared.before).await.unwrap();
            assert!(paid.checks.iter().all(|check| check.pass), "{fault:?} {:?}", paid.checks);
            assert_eq!((paid.outputs.received, paid.outputs.status.as_str()), (1_999, "succeeded"));
        }
        let payments = shop.provider.objects("payment_intent");
        assert_eq!(payments.len(), 1, "{fault:?}");
        let found = charge.reconcile(&shop.cx, &inputs(1_999), &prepared.before).await.unwrap();
        assert!(matches!(found, Found::Done(_)), "{found:?}");
        let undo = prepared.undo.unwrap();
        let told =
            format!("payment {} of 1999 eur is refunded", payments[0]["id"].as_str().unwrap());
        assert_eq!(back(&shop, &undo).await, [told.as_str()]);
        assert_eq!(back(&shop, &undo).await, [told.as_str()], "twice is once");
    }
}

#[tokio::test]
async fn many_at_once_under_one_key_pay_once() {
    let shop = Shop::open().await;
    let charge = Charge::new(shop.targets.clone());
    let (inputs, before) = (inputs(5), Before { key: "charge-many-at-once".to_owned() });
    let all = join_all((0..20).map(|_| charge.perform(&shop.cx, &inputs, &before))).await;
    for paid in all {
        let paid = paid.unwrap();
        assert!(paid.checks.iter().all(|check| check.pass), "{:?}", paid.checks);
    }
    assert_eq!(shop.provider.objects("payment_intent").len(), 1);
}

/// A bank's no is told with its reason, to this try and to every later one, and what is open is closed.
#[tokio::test]
async fn a_declined_card_is_a_failed_check_and_leaves_nothing_to_be_paid() {
    for fault in [None, Some(Trapped::LostAnswer), Some(Trapped::ServerErrorAfter)] {
        let shop = Shop::open().await;
        let charge = Charge::new(shop.targets.clone());
        let card = "pm_card_visa_chargeDeclinedInsufficientFunds".to_owned();
        let poor = Inputs { payment_method: card, ..inputs(1_999) };
        let prepared = charge.prepare(&shop.cx, &poor).await.unwrap();
        if let Some(fault) = fault {
            shop.trap(fault, "/v1/payment_intents", 0);
        }
        for _ in 0..2 {
            let seen = charge.perform(&shop.cx, &poor, &prepared.before).await.unwrap();
            let failed: Vec<_> = seen.checks.iter().filter(|check| !check.pass).collect();
            assert_eq!((failed.len(), failed[0].id.as_str()), (1, "status"), "{fault:?}");
            assert_eq!(failed[0].measured, json!("declined: insufficient_funds"));
            assert_eq!(seen.outputs.received, 0);
        }
        // As the runtime does with a check that fails.
        assert_eq!(back(&shop, &prepared.undo.unwrap()).await, Vec::<String>::new());
        let payments = shop.provider.objects("payment_intent");
        assert_eq!((payments.len(), payments[0]["status"].as_str()), (1, Some("canceled")));
    }
}

/// The worker dies while it waits for the answer; the next one finds the payment.
#[tokio::test]
async fn killed_in_the_middle_the_payment_is_found() {
    let shop = Shop::open().await;
    let charge = Charge::new(shop.targets.clone());
    let before = charge.prepare(&shop.cx, &inputs(7)).await.unwrap().before;
    let found = charge.reconcile(&shop.cx, &inputs(7), &before).await.unwrap();
    assert!(matches!(found, Found::NotBegun), "{found:?}");
    shop.trap(Trapped::Hang, "/v1/payment_intents", 0);
    let worker = {
        let (charge, cx, before) = (charge.clone(), shop.cx.clone(), before.clone());
        tokio::spawn(async move { charge.perform(&cx, &inputs(7), &before).await })
    };
    let paid = async {
        while shop.provider.objects("payment_intent").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), paid).await.unwrap();
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    let found = charge.reconcile(&shop.cx, &inputs(7), &before).await.unwrap();
    assert!(matches!(found, Found::Done(_)), "{found:?}");
}

#[tokio::test]
async fn what_makes_no_sense_and_a_live_key_are_refused_before_anything_is_paid() {
    let shop = Shop::open().await;
    let charge = Charge::new(shop.targets.clone());
    for bad in [
        inputs(0),
        inputs(-1),
        inputs(AMOUNT_MAX + 1),
        Inputs { currency: "EUR".to_owned(), ..inputs(1) },
        Inputs { payment_method: String::new(), ..inputs(1) },
    ] {
        let refused = charge.prepare(&shop.cx, &bad).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.class, ErrorClass::InvalidInput, "{bad:?}");
    }
    let stranger = Inputs { customer: Some("cus_nobody".to_owned()), ..inputs(1) };
    let before = charge.prepare(&shop.cx, &stranger).await.unwrap().before;
    let refused = charge.perform(&shop.cx, &stranger, &before).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::InvalidInput, "{refused}");
    assert!(!format!("{refused:?}").contains(API_KEY));
    assert!(shop.provider.objects("payment_intent").is_empty());

    let shop = Shop::with(json!({"api_key": "sk_live_1"})).await;
    let refused = Charge::new(shop.targets.clone()).prepare(&shop.cx, &inputs(1)).await;
    assert_eq!(refused.map(|_| ()).unwrap_err().class, ErrorClass::Denied);
}
