//! The shop on SQLite, in process, over real HTTP.

use deadelus_shop::{Config, Database, LINES_PER_ORDER};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::accounts;
use crate::checks;
use crate::common::{get, lock_order_1, open, seed, statement, until};
use crate::webhooks;

fn new_database() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(folder.path().join("shop.db"));
    (folder, database)
}

#[tokio::test]
async fn an_event_counts_once_whenever_it_comes() {
    let (_folder, database) = new_database();
    webhooks::an_event_counts_once_whenever_it_comes(database).await;
}

#[tokio::test]
async fn both_revisions_give_the_same_answers() {
    let (_folder, database) = new_database();
    checks::both_revisions_give_the_same_answers(database).await;
}

#[tokio::test]
async fn counters_are_exact_and_show_the_n_plus_one() {
    let (_folder, database) = new_database();
    checks::counters_are_exact_and_show_the_n_plus_one(database).await;
}

#[tokio::test]
async fn a_release_is_followed_and_an_unknown_one_reported() {
    let (_folder, database) = new_database();
    checks::a_release_is_followed_and_an_unknown_one_reported(database).await;
}

#[tokio::test]
async fn waiting_for_a_lock_and_for_the_pool_is_counted() {
    let (_folder, database) = new_database();
    checks::waiting_for_a_lock_and_for_the_pool_is_counted(database).await;
}

#[tokio::test]
async fn a_lock_that_is_never_given_is_a_503_and_harms_nothing() {
    let (_folder, database) = new_database();
    checks::a_lock_that_is_never_given_is_a_503_and_harms_nothing(database).await;
}

#[tokio::test]
async fn a_connection_kept_during_a_slow_call_starves_the_pool() {
    let (_folder, database) = new_database();
    checks::a_connection_kept_during_a_slow_call_starves_the_pool(database).await;
}

#[tokio::test]
async fn a_floor_and_a_slow_service_are_not_the_database() {
    let (_folder, database) = new_database();
    checks::a_floor_and_a_slow_service_are_not_the_database(database).await;
}

#[tokio::test]
async fn a_checkout_is_written_whole_or_not_at_all() {
    let (_folder, database) = new_database();
    checks::a_checkout_is_written_whole_or_not_at_all(database).await;
}

#[tokio::test]
async fn whoever_knows_the_password_gets_a_token_that_is_believed() {
    let (_folder, database) = new_database();
    accounts::whoever_knows_the_password_gets_a_token_that_is_believed(database).await;
}

#[tokio::test]
async fn policies_are_told_in_report_only_and_decide_when_enforced() {
    let (_folder, database) = new_database();
    accounts::policies_are_told_in_report_only_and_decide_when_enforced(database).await;
}

#[tokio::test]
async fn seeding_never_overwrites_a_shop_by_itself() {
    let (_folder, database) = new_database();
    checks::seeding_never_overwrites_a_shop_by_itself(database).await;
}

#[tokio::test]
async fn the_missing_index_shows_in_scan_steps_until_it_is_made() {
    const LINES: u64 = 20_000;
    let (folder, database) = new_database();
    seed(&database, LINES).await;
    let shop = open(Config::new(database)).await;
    shop.get("/checkout/1").await;
    let before = shop.counters().await;
    let scanned = statement(&before, "order_line")["scan_steps"].as_u64().unwrap();
    assert!(scanned >= LINES - 1, "every line is looked at: {scanned}");
    assert_eq!(statement(&before, "FROM product")["scan_steps"], 0);

    let somebody = rusqlite::Connection::open(folder.path().join("shop.db")).unwrap();
    somebody.execute_batch("CREATE INDEX order_line_order ON order_line (order_id)").unwrap();
    shop.get("/checkout/1").await;
    let after = shop.counters().await;
    let lines = statement(&after, "order_line");
    assert_eq!(lines["scan_steps"], scanned, "not one more");
    assert_eq!(lines["rows"], 2 * LINES_PER_ORDER);
    shop.close().await;
}

#[tokio::test]
async fn an_answer_comes_in_one_packet() {
    let (_folder, database) = new_database();
    seed(&database, 500).await;
    let shop = open(Config::new(database)).await;
    let whole = shop.get("/checkout/1").await;
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    stream.write_all(b"GET /checkout/1 HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
    let mut packet = vec![0; 65_536];
    let read = stream.read(&mut packet).await.unwrap();
    let (head, body) =
        std::str::from_utf8(&packet[..read]).unwrap().split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", whole.headers["content-length"])));
    assert_eq!(body.len().to_string(), whole.headers["content-length"]);
    drop(stream);
    shop.close().await;
}

#[tokio::test]
async fn a_customer_who_hangs_up_is_served_and_counted_all_the_same() {
    let (_folder, database) = new_database();
    seed(&database, 500).await;
    let config = Config { lock_rows: true, pool_size: 1, ..Config::new(database.clone()) };
    let shop = open(config).await;
    let somebody = lock_order_1(&database).await;
    let customer = shop.getting("/checkout/1");
    shop.until_pool(1, 0).await;
    customer.abort();
    drop(somebody);
    until("the visit is counted", async || shop.counters().await["requests"] == 1).await;
    assert_eq!(statement(&shop.counters().await, "COMMIT")["calls"], 1);
    shop.close().await;
}

#[tokio::test]
async fn without_a_shop_there_is_nothing_to_open_and_no_file_is_made() {
    let (folder, database) = new_database();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = deadelus_shop::serve(Config::new(database), listener, async {}).await;
    let why = format!("{:#}", anyhow::Error::from(refused.unwrap_err()));
    assert!(why.contains("deadelus-shop seed"), "{why}");
    assert!(!folder.path().join("shop.db").exists());
}

/// The process: port file, SIGTERM, and the request in flight that is still answered.
#[tokio::test]
async fn the_process_drains_when_told_to_close() {
    let (folder, database) = new_database();
    seed(&database, 500).await;
    let (config, port_file) = (folder.path().join("shop.toml"), folder.path().join("port"));
    let file = folder.path().join("shop.db");
    std::fs::write(&config, format!("database = 'sqlite:{}'\nlock_rows = true", file.display()))
        .unwrap();
    let mut process = tokio::process::Command::new(env!("CARGO_BIN_EXE_deadelus-shop"))
        .args(["serve", "--config"])
        .arg(&config)
        .arg("--port-file")
        .arg(&port_file)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until("the port file is there", async || port_file.exists()).await;
    let port: u16 = std::fs::read_to_string(&port_file).unwrap().trim().parse().unwrap();
    let address = ([127, 0, 0, 1], port).into();

    let somebody = lock_order_1(&database).await;
    let in_flight = tokio::spawn(async move { get(address, "/checkout/1").await });
    let busy = async || get(address, "/internal/counters").await.body["pool"]["busy"] == 1;
    until("a request is in flight", busy).await;
    let id = process.id().unwrap().to_string();
    let told = std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(told.success());
    until("nobody new is let in", async || TcpStream::connect(address).await.is_err()).await;
    drop(somebody);
    assert_eq!(in_flight.await.unwrap().status, 200);
    assert!(process.wait().await.unwrap().success());
}
