//! The reference shop, released there and back under the eyes of its customers.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use deadelus_runtime::Aftermath;
use deadelus_shop::{Config, Database, Seed};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{
    tests::{release, take_back},
    *,
};

async fn open_shop(folder: &Path) -> SocketAddr {
    let database = Database::Sqlite(folder.join("shop.db"));
    let seed = Seed { order_lines: 100, seed: 1, replace: false };
    deadelus_shop::seed(&database, seed).await.unwrap();
    let revision_file = Some(folder.join("revision.json"));
    let config = Config { revision_file, ..Config::new(database) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let never = std::future::pending();
    tokio::spawn(async move { deadelus_shop::serve(config, listener, never).await.unwrap() });
    address
}

/// One purchase; the revision that served it.
async fn buy(shop: SocketAddr) -> String {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let url = format!("http://{shop}/checkout/1").parse().unwrap();
    let answer = client.get(url).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.headers()["x-revision"].to_str().unwrap().to_owned()
}

/// A customer who buys until told to stop, and then tells what they were served by.
async fn customer(shop: SocketAddr, leave: watch::Receiver<bool>) -> JoinHandle<Vec<String>> {
    let mut revisions = vec![buy(shop).await];
    tokio::spawn(async move {
        while !*leave.borrow() {
            revisions.push(buy(shop).await);
        }
        // Whatever came before: this one began after the last change.
        revisions.push(buy(shop).await);
        revisions.dedup();
        revisions
    })
}

#[tokio::test]
async fn no_customer_is_refused_while_the_shop_is_released_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("revision.json");
    fs::write(&file, "{\"revision\": \"v1\"}").unwrap();
    let before = fs::read(&file).unwrap();
    let shop = open_shop(folder.path()).await;
    let config = serde_json::json!({
        "revision_file": file,
        "health_url": format!("http://{shop}/healthz"),
        "revisions": {"v1": {}, "v2": {}, "v9": {}},
        "probe_interval_ms": 20,
    });
    let config = serde_json::from_value(config).unwrap();
    let targets = crate::target::checked([("shop".parse().unwrap(), config)].into()).unwrap();
    let cx = Context::detached("shop");
    let (leave, leaving) = watch::channel(false);
    let customer = customer(shop, leaving).await;

    let (_, prepared) = release(&Release(targets.clone()), &cx, "v2").await.unwrap();
    let refused = release(&Release(targets.clone()), &cx, "v9").await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::CheckFailed);
    assert_eq!(refused.aftermath, Aftermath::TakenBack, "{refused}");
    take_back(targets, &cx, prepared.undo.unwrap()).await;

    leave.send(true).unwrap();
    let served = tokio::time::timeout(Duration::from_secs(30), customer).await.unwrap().unwrap();
    // Going to v9 and back shows nothing but v2.
    assert_eq!(served, ["v1", "v2", "v1"]);
    assert_eq!(fs::read(&file).unwrap(), before);
}
