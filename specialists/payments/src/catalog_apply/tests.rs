//! Do, undo and reconcile against a provider that fails, repeats, loses answers, and a worker that
//! is killed in the middle.

use deadelus_provider::Fault;
use deadelus_runtime::{ErrorClass, ReadCapability as _};
use serde_json::{Value, json};

use super::*;
use crate::{
    CatalogPlan, CatalogRevert, catalog_plan,
    testing::{KEY, Shop},
};

/// A request takes milliseconds; two busy cores take longer.
const MADE_WITHIN: Duration = Duration::from_secs(30);

/// Two products, two prices; `pro_monthly` costs this.
fn inputs(amount: u64, replace: bool) -> Inputs {
    let month = json!({"interval": "month"});
    let catalogue = json!({"products": [
        {"id": "pro", "name": "Pro", "prices": [
            {"lookup_key": "pro_monthly", "currency": "eur", "unit_amount": amount,
                "recurring": month},
            {"lookup_key": "pro_setup", "currency": "jpy", "unit_amount": 500},
        ]},
        {"id": "empty", "name": "Empty", "description": "later", "prices": []},
    ]});
    let catalogue = serde_json::from_value(catalogue).unwrap();
    Inputs { catalogue, replace, expect_observed: None }
}

async fn apply(shop: &Shop, inputs: &Inputs) -> Result<Measured<Outputs>, Failure> {
    let capability = CatalogApply::new(shop.targets.clone());
    let prepared = capability.prepare(&shop.cx, inputs).await?;
    capability.perform(&shop.cx, inputs, &prepared.before).await
}

async fn revert(shop: &Shop, undo: &Undo) -> Vec<String> {
    let capability = CatalogRevert::new(shop.targets.clone());
    let inputs = serde_json::from_value(undo.inputs.clone()).unwrap();
    let prepared = capability.prepare(&shop.cx, &inputs).await.unwrap();
    let done = capability.perform(&shop.cx, &inputs, &prepared.before).await.unwrap();
    assert!(done.checks.iter().all(|check| check.pass), "{:?}", done.checks);
    let found = capability.reconcile(&shop.cx, &inputs, &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Done(_)), "{found:?}");
    done.residue
}

/// What customers could buy: `(lookup key, amount)` of what is active.
fn sold(shop: &Shop) -> Vec<(String, u64)> {
    let prices = shop.provider.objects("price");
    let named = |price: &Value| {
        let key = price["lookup_key"].as_str()?.to_owned();
        (price["active"] == true).then_some((key, price["unit_amount"].as_u64()?))
    };
    let mut sold: Vec<_> = prices.iter().filter_map(named).collect();
    sold.sort();
    sold
}

fn owned(sold: &[(&str, u64)]) -> Vec<(String, u64)> {
    sold.iter().map(|(key, amount)| ((*key).to_owned(), *amount)).collect()
}

/// One price that was there before us.
async fn open_with_an_old_price() -> Shop {
    let shop = Shop::open().await;
    shop.post("/v1/products", &[("id", "pro"), ("name", "Old")]).await;
    let old = [
        ("product", "pro"),
        ("currency", "eur"),
        ("unit_amount", "900"),
        ("recurring[interval]", "month"),
        ("lookup_key", "pro_monthly"),
    ];
    shop.post("/v1/prices", &old).await;
    shop
}

#[tokio::test]
async fn what_is_planned_is_done_and_a_second_plan_is_empty() {
    let shop = Shop::open().await;
    let inputs = inputs(1000, false);
    let plan = || async {
        let capability = CatalogPlan::new(shop.targets.clone());
        let catalogue = inputs.catalogue.clone();
        let asked = catalog_plan::Inputs { catalogue, replace: false };
        capability.perform(&shop.cx, asked).await.unwrap()
    };
    let planned = plan().await;
    assert_eq!(planned.outputs.steps.len(), 4);
    assert!(shop.provider.objects("product").is_empty(), "a plan changes nothing");

    let expect_observed = Some(planned.outputs.observed_sha256);
    let done = apply(&shop, &Inputs { expect_observed, ..inputs.clone() }).await.unwrap();
    assert!(done.checks.iter().all(|check| check.pass), "{:?}", done.checks);
    assert_eq!(sold(&shop), owned(&[("pro_monthly", 1000), ("pro_setup", 500)]));
    assert_eq!(done.outputs.prices.len(), 2);
    let again = plan().await;
    assert_eq!(again.outputs.steps, []);
    assert_eq!(again.outputs.observed_sha256, done.outputs.observed_sha256);
    apply(&shop, &inputs).await.unwrap();
    assert_eq!(shop.provider.objects("price").len(), 2, "twice is once");
}

#[tokio::test]
async fn a_price_is_replaced_only_when_it_is_said_and_comes_back() {
    let shop = open_with_an_old_price().await;
    let refused = apply(&shop, &inputs(1000, false)).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::InvalidInput);
    assert_eq!(sold(&shop), owned(&[("pro_monthly", 900)]));

    let inputs = inputs(1000, true);
    let capability = CatalogApply::new(shop.targets.clone());
    let prepared = capability.prepare(&shop.cx, &inputs).await.unwrap();
    let undo = prepared.undo.unwrap();
    assert_eq!(undo.residue.len(), 3, "{:?}", undo.residue);
    capability.perform(&shop.cx, &inputs, &prepared.before).await.unwrap();
    assert_eq!(sold(&shop), owned(&[("pro_monthly", 1000), ("pro_setup", 500)]));

    let residue = revert(&shop, &undo).await;
    assert_eq!(sold(&shop), owned(&[("pro_monthly", 900)]));
    let products = shop.provider.objects("product");
    let names: Vec<&Value> = products.iter().map(|product| &product["name"]).collect();
    assert_eq!(names, ["Old"], "the other was deleted: nothing was sold under it");
    assert_eq!(residue.len(), 2, "{residue:?}");
    assert_eq!(revert(&shop, &undo).await, residue, "twice is once");
}

#[tokio::test]
async fn drift_is_refused() {
    let shop = Shop::open().await;
    let expect_observed = Some("another".to_owned());
    let refused = apply(&shop, &Inputs { expect_observed, ..inputs(1, false) }).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::PreconditionFailed);
    assert!(shop.provider.objects("product").is_empty());
}

/// At every request that writes, with every fault: the end is all of it once, after as many
/// attempts as the runtime would make, and the way back leads back from wherever it stopped.
#[tokio::test]
async fn whatever_fails_wherever_it_ends_done_once_or_taken_back() {
    let faults =
        [Fault::LostAnswer, Fault::ServerError, Fault::ServerErrorAfter, Fault::TooManyRequests];
    for fault in faults {
        // A product is changed, one is made; two prices are made, one is archived.
        for skip in 0..5 {
            let shop = open_with_an_old_price().await;
            let (inputs, cx) = (inputs(1000, true), &shop.cx);
            let capability = CatalogApply::new(shop.targets.clone());
            let prepared = capability.prepare(cx, &inputs).await.unwrap();
            shop.trap(fault, "/", skip);
            let first = capability.perform(cx, &inputs, &prepared.before).await;
            let place = format!("{fault:?} after {skip}");
            match &first {
                Ok(done) => assert!(done.checks.iter().all(|c| c.pass), "{place}"),
                Err(failure) => {
                    let expected = match (fault, skip) {
                        (Fault::TooManyRequests, 0) => ErrorClass::Unavailable,
                        _ => ErrorClass::UnknownOutcome,
                    };
                    assert_eq!(failure.class, expected, "{place}: {failure}");
                    assert!(!format!("{failure:?}").contains(KEY), "{failure:?}");
                    if skip % 2 == 0 {
                        revert(&shop, prepared.undo.as_ref().unwrap()).await;
                        assert_eq!(sold(&shop), owned(&[("pro_monthly", 900)]), "{place}");
                        continue;
                    }
                    let found = capability.reconcile(cx, &inputs, &prepared.before).await;
                    if !matches!(found.unwrap(), Found::Done(_)) {
                        capability.perform(cx, &inputs, &prepared.before).await.unwrap();
                    }
                }
            }
            let all = owned(&[("pro_monthly", 1000), ("pro_setup", 500)]);
            assert_eq!(sold(&shop), all, "{place}");
            assert_eq!(shop.provider.objects("price").len(), 3, "{place}");
        }
    }
}

/// The worker dies while it waits for an answer; another one goes on.
#[tokio::test]
async fn killed_in_the_middle_another_worker_goes_on_or_back() {
    for go_on in [true, false] {
        let shop = open_with_an_old_price().await;
        let inputs = inputs(1000, true);
        let capability = CatalogApply::new(shop.targets.clone());
        let prepared = capability.prepare(&shop.cx, &inputs).await.unwrap();
        shop.trap(Fault::Hang, "/v1/prices", 0);
        let worker = {
            let (capability, cx, inputs) = (capability.clone(), shop.cx.clone(), inputs.clone());
            let before = prepared.before.clone();
            tokio::spawn(async move { capability.perform(&cx, &inputs, &before).await })
        };
        let made = async {
            while shop.provider.objects("price").len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(MADE_WITHIN, made).await.unwrap();
        worker.abort();
        assert!(worker.await.unwrap_err().is_cancelled());

        let found = capability.reconcile(&shop.cx, &inputs, &prepared.before).await.unwrap();
        assert!(matches!(found, Found::Partly), "{found:?}");
        if go_on {
            capability.perform(&shop.cx, &inputs, &prepared.before).await.unwrap();
            assert_eq!(sold(&shop), owned(&[("pro_monthly", 1000), ("pro_setup", 500)]));
            assert_eq!(shop.provider.objects("price").len(), 3);
        } else {
            revert(&shop, &prepared.undo.unwrap()).await;
            assert_eq!(sold(&shop), owned(&[("pro_monthly", 900)]));
        }
    }
}

#[tokio::test]
async fn a_live_key_is_denied_before_anything_is_asked() {
    let live = json!({"api_key": "sk_live_hunter2"});
    let shop = Shop::with(live).await;
    let refused = apply(&shop, &inputs(1, false)).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Denied);
    assert!(!format!("{refused:?}").contains("hunter2"));
    let allowed = json!({"api_key": "sk_live_1", "production": true, "allow_live": true});
    let shop = Shop::with(allowed).await;
    apply(&shop, &inputs(1, false)).await.unwrap();
}
