use deadelus_provider::Fault as Trapped;

use super::*;
use crate::testing::Shop;

/// A month, a year and a fortnight; and one that is paid once and is not rehearsed.
fn inputs() -> Inputs {
    let price = |key: &str, amount: u32, every: Value| json!({"lookup_key": key, "currency": "eur", "unit_amount": amount, "recurring": every});
    let prices = [
        price("pro_monthly", 2_500, json!({"interval": "month"})),
        price("pro_yearly", 25_000, json!({"interval": "year"})),
        price("pro_fortnightly", 1_300, json!({"interval": "week", "interval_count": 2})),
        price("pro_setup", 900, Value::Null),
    ];
    let products = json!([{"id": "pro", "name": "Pro", "prices": prices}]);
    serde_json::from_value(json!({"catalogue": {"products": products}})).unwrap()
}

fn failed(done: &Measured<Outputs>) -> Vec<&str> {
    done.checks.iter().filter(|check| !check.pass).map(|check| check.id.as_str()).collect()
}

/// What a rehearsal must leave nothing of.
fn objects(shop: &Shop) -> usize {
    let kinds = [
        "test_helpers.test_clock",
        "customer",
        "subscription",
        "invoice",
        "payment_intent",
        "product",
    ];
    kinds.iter().map(|kind| shop.provider.objects(kind).len()).sum()
}

#[tokio::test]
async fn a_year_is_billed_to_the_cent_and_the_second_and_leaves_nothing() {
    let shop = Shop::with(json!({"takes_faults": true})).await;
    let rehearse = BillingRehearse::new(shop.targets.clone());
    let prepared = rehearse.prepare(&shop.cx, &inputs()).await.unwrap();
    for _ in 0..2 {
        let done = rehearse.perform(&shop.cx, &inputs(), &prepared.before).await.unwrap();
        assert_eq!(failed(&done), Vec::<&str>::new(), "{:?}", done.checks);
        let told: Vec<_> = done
            .outputs
            .billed
            .iter()
            .map(|bill| (bill.lookup_key.as_str(), bill.invoices, bill.total))
            .collect();
        let expected = [
            ("pro_monthly", 13, 32_500),
            ("pro_yearly", 2, 50_000),
            // 366 days: one at the beginning, and one after each fourteen.
            ("pro_fortnightly", 27, 35_100),
        ];
        assert_eq!(told, expected);
        assert_eq!(objects(&shop), 0);
    }
    let found = rehearse.reconcile(&shop.cx, &inputs(), &prepared.before).await.unwrap();
    assert!(matches!(found, Found::NotBegun), "{found:?}");
}

/// Whatever goes wrong at whichever request that writes: the next attempt does all of it, or the way
/// back leaves nothing.
#[tokio::test]
async fn whatever_fails_wherever_it_is_done_again_or_leaves_nothing() {
    let faults = [
        Trapped::LostAnswer,
        Trapped::ServerError,
        Trapped::ServerErrorAfter,
        Trapped::TooManyRequests,
    ];
    let inputs = Inputs { months: 2, ..inputs() };
    for (round, fault) in faults.into_iter().enumerate() {
        // The clock, the product, and what three customers take.
        for skip in 0..8 {
            let shop = Shop::open().await;
            let rehearse = BillingRehearse::new(shop.targets.clone());
            let prepared = rehearse.prepare(&shop.cx, &inputs).await.unwrap();
            shop.trap(fault, "/v1/", skip);
            let done = rehearse.perform(&shop.cx, &inputs, &prepared.before).await;
            let place = format!("{fault:?} after {skip}");
            match done {
                Ok(done) => assert_eq!(failed(&done), Vec::<&str>::new(), "{place}"),
                Err(failure) => {
                    assert_eq!(failure.class, ErrorClass::UnknownOutcome, "{place}: {failure}");
                    if (round + skip as usize).is_multiple_of(2) {
                        drop_clock(&shop, &prepared.undo.unwrap().inputs).await;
                    } else {
                        let done = rehearse.perform(&shop.cx, &inputs, &prepared.before).await;
                        assert_eq!(failed(&done.unwrap()), Vec::<&str>::new(), "{place}");
                    }
                }
            }
            assert_eq!(objects(&shop), 0, "{place}");
        }
    }
}

async fn drop_clock(shop: &Shop, inputs: &Value) {
    let inputs = serde_json::from_value(inputs.clone()).unwrap();
    let drop = clock_drop::ClockDrop::new(shop.targets.clone());
    let before = drop.prepare(&shop.cx, &inputs).await.unwrap().before;
    for _ in 0..2 {
        let done = drop.perform(&shop.cx, &inputs, &before).await.unwrap();
        assert!(done.checks.iter().all(|check| check.pass), "{:?}", done.checks);
        let found = drop.reconcile(&shop.cx, &inputs, &before).await.unwrap();
        assert!(matches!(found, Found::Done(_)), "{found:?}");
    }
}

/// The worker dies while the clock moves; another one begins anew, or takes it back.
#[tokio::test]
async fn killed_in_the_middle_it_begins_anew_or_goes() {
    for anew in [true, false] {
        let shop = Shop::open().await;
        let rehearse = BillingRehearse::new(shop.targets.clone());
        let prepared = rehearse.prepare(&shop.cx, &inputs()).await.unwrap();
        shop.trap(Trapped::Hang, "/v1/test_helpers/test_clocks/", 2);
        let worker = {
            let (rehearse, cx, before) =
                (rehearse.clone(), shop.cx.clone(), prepared.before.clone());
            tokio::spawn(async move { rehearse.perform(&cx, &inputs(), &before).await })
        };
        let billed = async {
            while shop.provider.objects("invoice").len() < 6 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), billed).await.unwrap();
        worker.abort();
        assert!(worker.await.unwrap_err().is_cancelled());
        let found = rehearse.reconcile(&shop.cx, &inputs(), &prepared.before).await.unwrap();
        assert!(matches!(found, Found::Partly), "{found:?}");
        if anew {
            let done = rehearse.perform(&shop.cx, &inputs(), &prepared.before).await.unwrap();
            assert_eq!(failed(&done), Vec::<&str>::new(), "{:?}", done.checks);
        } else {
            drop_clock(&shop, &prepared.undo.unwrap().inputs).await;
        }
        assert_eq!(objects(&shop), 0);
    }
}

/// Each way in which a provider's invoices can be wrong is told.
#[test]
fn an_invoice_that_is_off_is_named() {
    let inputs = Inputs { months: 1, ..inputs() };
    let (price, every) = inputs.recurring().next().unwrap();
    let starts = |n| periods::start(inputs.begins_unix_s, every, n).unwrap();
    let invoice = |n: i64| {
        json!({"amount_paid": 2_500, "currency": "eur", "status": "paid",
            "lines": {"data": [{"period": {"start": starts(n), "end": starts(n + 1)}}]}})
    };
    let good = vec![invoice(0), invoice(1)];
    let off = |invoices: &[Value]| {
        let billed = vec![Billed::new(price, every, &inputs, invoices, &[])];
        let seen = Seen { billed, ..Seen::default() };
        seen.checks(&inputs).remove(0).measured
    };
    assert_eq!(off(&good), "0");
    assert_eq!(off(&good[..1]), "1");
    assert_eq!(off(&[&good[..], &good[1..]].concat()), "1");
    for (field, value) in
        [("amount_paid", json!(2_499)), ("currency", json!("usd")), ("status", json!("open"))]
    {
        let mut bad = good.clone();
        bad[1][field] = value;
        assert_eq!(off(&bad), "2", "{field}: one is missing, and one is not expected");
    }
    let mut late = good.clone();
    late[1]["lines"]["data"][0]["period"]["start"] = (starts(1) + 1).into();
    assert_eq!(off(&late), "2");
}

#[tokio::test]
async fn what_cannot_be_rehearsed_is_refused_and_a_live_key_too() {
    let shop = Shop::open().await;
    let rehearse = BillingRehearse::new(shop.targets.clone());
    let mut once = inputs();
    once.catalogue.products[0].prices.retain(|price| price.terms.recurring.is_none());
    for bad in [
        once,
        Inputs { months: 0, ..inputs() },
        Inputs { months: MONTHS_MAX + 1, ..inputs() },
        Inputs { begins_unix_s: i64::MAX, ..inputs() },
        Inputs { begins_unix_s: -1, ..inputs() },
    ] {
        let refused = rehearse.prepare(&shop.cx, &bad).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.class, ErrorClass::InvalidInput, "{bad:?}");
    }
    let stranger = clock_drop::Inputs { clock: "somebody's".to_owned(), tell: None };
    let drop = clock_drop::ClockDrop::new(shop.targets.clone());
    let refused = drop.prepare(&shop.cx, &stranger).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.class, ErrorClass::InvalidInput);

    let live = json!({"api_key": "sk_live_1", "production": true, "allow_live": true});
    let shop = Shop::with(live).await;
    let rehearse = BillingRehearse::new(shop.targets.clone());
    let refused = rehearse.prepare(&shop.cx, &inputs()).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.class, ErrorClass::Denied);
}
