//! What the shop must do, whichever database it is on. Each check is one property.

use std::path::Path;
use std::time::Instant;

use deadelus_shop::{Config, Database, LINES_PER_ORDER, Seed, SeedError};
use serde_json::json;

use crate::common::{lock_order_1, open, seed, statement, until};

/// Too small for an index to matter, which most properties do not need.
const FEW_LINES: u64 = 500;

fn follow(config: &mut Config, folder: &Path, revision: &str) {
    let file = folder.join("release.json");
    std::fs::write(&file, json!({ "revision": revision }).to_string()).unwrap();
    config.revision_file = Some(file);
}

pub(crate) async fn both_revisions_give_the_same_answers(database: Database) {
    seed(&database, FEW_LINES + 3).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(database);
    follow(&mut config, folder.path(), "v1");
    let shop = open(config.clone()).await;
    let basket = json!({"customer": "ann", "lines": [{"product_id": 7, "quantity": 2}]});
    let placed = shop.post("/checkout", &basket).await;
    assert_eq!((placed.status, &placed.headers["location"][..]), (201, "/checkout/102"));

    // The first, one more, the one with three lines, the one just placed, and none.
    for path in ["/checkout/1", "/checkout/50", "/checkout/101", "/checkout/102", "/checkout/103"] {
        follow(&mut config, folder.path(), "v1");
        let v1 = shop.get(path).await;
        follow(&mut config, folder.path(), "v2");
        let v2 = shop.get(path).await;
        assert_eq!((v1.revision(), v2.revision()), ("v1", "v2"));
        assert_eq!((v1.status, v1.body), (v2.status, v2.body), "{path}");
    }
    assert_eq!(shop.get("/checkout/103").await.status, 404);
    assert_eq!(shop.get("/checkout/101").await.body["lines"].as_array().unwrap().len(), 3);
    shop.close().await;
}

pub(crate) async fn counters_are_exact_and_show_the_n_plus_one(database: Database) {
    const VISITS: u64 = 6;
    seed(&database, FEW_LINES).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(database);
    follow(&mut config, folder.path(), "v1");
    let shop = open(config.clone()).await;
    for id in 1..=VISITS {
        assert_eq!(shop.get(&format!("/checkout/{id}")).await.status, 200);
    }
    let counters = shop.counters().await;
    let (lines, product) =
        (statement(&counters, "order_line"), statement(&counters, "FROM product"));
    assert_eq!(
        (&lines["calls"], &lines["rows"]),
        (&json!(VISITS), &json!(VISITS * LINES_PER_ORDER))
    );
    assert_eq!(product["calls"], VISITS * LINES_PER_ORDER);
    assert_eq!(product["rows"], product["calls"], "one row each: that is the N+1");
    assert_eq!(product["text"], "SELECT id, name FROM product WHERE id = $1");

    follow(&mut config, folder.path(), "v2");
    shop.get("/checkout/1").await;
    shop.get("/products").await;
    shop.get("/orders/1").await;
    shop.get("/nowhere").await;
    shop.get("/healthz").await;
    let after = shop.counters().await;
    assert_eq!(after["requests"], VISITS + 4, "without /healthz and /internal");
    let by_route = json!({
        "GET /checkout/{id}": VISITS + 1, "GET /products": 1, "GET /orders/{id}": 1, "none": 1,
    });
    assert_eq!(after["requests_by_route"], by_route);
    assert_eq!(statement(&after, "JOIN")["calls"], 1);
    assert_eq!(statement(&after, "JOIN")["rows"], LINES_PER_ORDER);
    assert_eq!(statement(&after, "product WHERE")["calls"], product["calls"], "no N+1 in v2");
    assert_eq!(after["revision"], "v2");
    shop.close().await;
}

pub(crate) async fn a_release_is_followed_and_an_unknown_one_reported(database: Database) {
    seed(&database, FEW_LINES).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { lock_rows: true, ..Config::new(database.clone()) };
    follow(&mut config, folder.path(), "v1");
    let shop = open(config.clone()).await;

    let somebody = lock_order_1(&database).await;
    let in_flight = shop.getting("/checkout/1");
    shop.until_pool(1, 0).await;
    follow(&mut config, folder.path(), "v2");
    assert_eq!(shop.get("/orders/1").await.revision(), "v2");
    drop(somebody);
    assert_eq!(in_flight.await.unwrap().revision(), "v1", "what is in flight stays as it began");

    follow(&mut config, folder.path(), "v9");
    let refused = json!(
        {"status": "ok", "revision": "v2", "wanted": "v9", "error": "unknown revision"});
    assert_eq!(shop.get("/healthz").await.body, refused);
    assert_eq!(shop.get("/checkout/1").await.revision(), "v2");
    follow(&mut config, folder.path(), "v1");
    assert_eq!(shop.get("/healthz").await.body, json!({"status": "ok", "revision": "v1"}));
    shop.close().await;
}

pub(crate) async fn waiting_for_a_lock_and_for_the_pool_is_counted(database: Database) {
    seed(&database, FEW_LINES).await;
    let config = Config { lock_rows: true, pool_size: 1, ..Config::new(database.clone()) };
    let shop = open(config).await;
    let somebody = lock_order_1(&database).await;
    let locked_out = shop.getting("/checkout/1");
    shop.until_pool(1, 0).await;
    let queued = shop.getting("/orders/2");
    shop.until_pool(1, 1).await;
    // Both wait now, so each waits at least from here to the release.
    let both_wait = Instant::now();
    until("20 ms of waiting", async || both_wait.elapsed().as_millis() >= 20).await;
    let at_least_ms = both_wait.elapsed().as_secs_f64() * 1e3;
    drop(somebody);

    let (locked_out, queued) = (locked_out.await.unwrap(), queued.await.unwrap());
    assert_eq!((locked_out.status, queued.status), (200, 200));
    assert!(locked_out.spent("lock") >= at_least_ms, "{}", locked_out.spent("lock"));
    assert!(queued.spent("pool") >= at_least_ms, "{}", queued.spent("pool"));
    for reply in [locked_out, queued] {
        let parts = ["db", "pool", "external", "lock"].map(|part| reply.spent(part));
        // Each part is rounded to a microsecond.
        assert!(parts.iter().sum::<f64>() <= reply.spent("total") + 0.005);
    }
    let counters = shop.counters().await;
    assert!(counters["lock_wait_ms"].as_f64().unwrap() >= at_least_ms);
    assert!(counters["pool"]["wait_ms"].as_f64().unwrap() >= at_least_ms);
    shop.close().await;
}

pub(crate) async fn a_lock_that_is_never_given_is_a_503_and_harms_nothing(database: Database) {
    seed(&database, FEW_LINES).await;
    let config = Config {
        lock_rows: true,
        lock_timeout_ms: 30,
        pool_size: 1,
        ..Config::new(database.clone())
    };
    let shop = open(config).await;
    let somebody = lock_order_1(&database).await;
    let refused = shop.get("/checkout/1").await;
    assert_eq!(
        (refused.status, &refused.body["error"]),
        (503, &json!("a lock was not given in time"))
    );
    assert!(refused.spent("lock") >= 30.0);
    drop(somebody);
    until("the lock is free", async || shop.get("/checkout/1").await.status == 200).await;
    shop.close().await;
}

/// The tax service never answers while the test runs, so that nothing here is a race.
pub(crate) async fn a_connection_kept_during_a_slow_call_starves_the_pool(database: Database) {
    seed(&database, FEW_LINES).await;
    let slow = Config { pool_size: 1, tax_service_ms: 60_000, ..Config::new(database) };
    let polite = open(slow.clone()).await;
    let _asking = polite.getting("/checkout/1");
    until("the tax service is asked", async || polite.counters().await["pool"]["busy"] == 0).await;
    assert_eq!(polite.get("/orders/2").await.status, 200);

    let greedy = open(Config { tax_service_holds_connection: true, ..slow }).await;
    let _asking = greedy.getting("/checkout/1");
    greedy.until_pool(1, 0).await;
    let _starved = greedy.getting("/orders/2");
    greedy.until_pool(1, 1).await;
}

pub(crate) async fn a_floor_and_a_slow_service_are_not_the_database(database: Database) {
    seed(&database, FEW_LINES).await;
    let config = Config { floor_ms: 44, tax_service_ms: 10, ..Config::new(database) };
    let shop = open(config).await;
    let reply = shop.get("/checkout/1").await;
    assert!(reply.spent("total") >= 44.0);
    assert!(reply.spent("external") >= 10.0);
    let orders = shop.get("/orders/1").await;
    assert!(orders.spent("total") >= 44.0);
    assert_eq!(orders.spent("external").to_bits(), 0.0_f64.to_bits(), "only checkouts are taxed");
    let counters = shop.counters().await;
    assert!(counters["external_ms"].as_f64().unwrap() >= 10.0);
    assert!(counters["handler_ms"].as_f64().unwrap() >= 88.0);
    shop.close().await;
}

pub(crate) async fn a_checkout_is_written_whole_or_not_at_all(database: Database) {
    seed(&database, FEW_LINES).await;
    let config = Config { order_lines_written_per_checkout: 11, ..Config::new(database) };
    let shop = open(config).await;
    let line = |product| json!({"product_id": product, "quantity": 3});
    let basket = |lines: &[_]| json!({"customer": "ann", "lines": lines});

    let unknown = shop.post("/checkout", &basket(&[line(1), line(4_000)])).await;
    assert_eq!((unknown.status, &unknown.body["error"]), (422, &json!("no product 4000")));
    assert_eq!(shop.get("/checkout/101").await.status, 404, "its order was rolled back");
    for nonsense in [basket(&[]), json!({"customer": "", "lines": [line(1)]}), json!({"linse": []})]
    {
        assert_eq!(shop.post("/checkout", &nonsense).await.status, 422, "{nonsense}");
    }

    let placed = shop.post("/checkout", &basket(&[line(1), line(2)])).await;
    assert_eq!((placed.status, &placed.body["lines_written"]), (201, &json!(11)));
    let shown = shop.get(&placed.headers["location"]).await;
    assert_eq!(shown.body["lines"].as_array().unwrap().len(), 11);
    let counters = shop.counters().await;
    assert_eq!(statement(&counters, "INSERT INTO order_line")["rows"], 17, "11, and 6 rolled back");
    shop.close().await;
}

pub(crate) async fn seeding_never_overwrites_a_shop_by_itself(database: Database) {
    seed(&database, FEW_LINES).await;
    let again = Seed { order_lines: 1, seed: 2, replace: false };
    let refused = deadelus_shop::seed(&database, again).await;
    assert!(matches!(refused, Err(SeedError::Exists)), "{refused:?}");
    let shop = open(Config::new(database)).await;
    assert_eq!(shop.get("/orders/100").await.status, 200, "the first shop is still there");
    shop.close().await;
}
