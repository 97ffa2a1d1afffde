use deadelus_runtime::ReadCapability as _;
use futures_util::future::join_all;

use super::*;
use crate::{
    LedgerReverse, LedgerVerify,
    ledger::testing::{Desk, desks},
    ledger_verify,
};

fn entry(account: &str, currency: &str, amount: i64) -> Entry {
    let (account, currency) = (account.to_owned(), currency.to_owned());
    Entry { account, currency, amount, reference: "pi_1".to_owned() }
}

fn sale(amount: i64) -> Inputs {
    Inputs { entries: vec![entry("receivable", "eur", amount), entry("revenue", "eur", -amount)] }
}

async fn back(desk: &Desk, undo: &Undo) -> Vec<String> {
    let inputs = serde_json::from_value(undo.inputs.clone()).unwrap();
    let reverse = LedgerReverse::new(desk.shop.targets.clone());
    let before = reverse.prepare(&desk.shop.cx, &inputs).await.unwrap().before;
    let done = reverse.perform(&desk.shop.cx, &inputs, &before).await.unwrap();
    assert!(done.checks.iter().all(|check| check.pass), "{:?}", done.checks);
    let found = reverse.reconcile(&desk.shop.cx, &inputs, &before).await.unwrap();
    assert!(matches!(found, Found::Done(_)), "{found:?}");
    done.residue
}

async fn verify(desk: &Desk) -> Result<Measured<ledger_verify::Outputs>, Failure> {
    let inputs = ledger_verify::Inputs { account: Some("receivable".to_owned()) };
    LedgerVerify::new(desk.shop.targets.clone()).perform(&desk.shop.cx, inputs).await
}

/// The opposite is written beside it, and neither is ever deleted.
#[tokio::test]
async fn it_is_posted_once_and_goes_back_by_its_opposite() {
    for desk in desks("ledger").await {
        let (targets, cx) = (desk.shop.targets.clone(), &desk.shop.cx);
        let post = LedgerPost::new(targets);
        assert_eq!(verify(&desk).await.unwrap_err().class, ErrorClass::PreconditionFailed);
        let prepared = post.prepare(cx, &sale(2_500)).await.unwrap();
        let found = post.reconcile(cx, &sale(2_500), &prepared.before).await.unwrap();
        assert!(matches!(found, Found::NotBegun), "{found:?}");
        // The way back is right before anything was done, and leaves nothing.
        assert_eq!(back(&desk, prepared.undo.as_ref().unwrap()).await, Vec::<String>::new());
        for _ in 0..2 {
            let done = post.perform(cx, &sale(2_500), &prepared.before).await.unwrap();
            assert!(done.checks.iter().all(|check| check.pass), "{:?}", done.checks);
        }
        let found = post.reconcile(cx, &sale(2_500), &prepared.before).await.unwrap();
        assert!(matches!(found, Found::Done(_)), "{found:?}");
        let books = verify(&desk).await.unwrap();
        assert!(books.checks.iter().all(|check| check.pass), "{:?}", books.checks);
        assert_eq!((books.outputs.postings, books.outputs.lines[0].amount), (1, 2_500));
        // Another sale under the same key is none.
        let other = post.perform(cx, &sale(1), &prepared.before).await.unwrap_err();
        assert_eq!(other.class, ErrorClass::Conflict, "{other}");

        let undo = prepared.undo.unwrap();
        let residue = back(&desk, &undo).await;
        assert_eq!(residue.len(), 1, "{residue:?}");
        assert_eq!(back(&desk, &undo).await, residue, "twice is once");
        let books = verify(&desk).await.unwrap();
        assert_eq!(books.outputs.postings, 2);
        let all: Vec<i64> = books.outputs.balances.iter().map(|one| one.amount).collect();
        assert_eq!(all, [0, 0]);
        // What was reversed is not posted any more.
        let again = post.perform(cx, &sale(2_500), &prepared.before).await.unwrap();
        assert!(again.checks.iter().any(|c| c.id.as_str() == "not_reversed" && !c.pass));
    }
}

#[tokio::test]
async fn many_at_once_under_one_key_post_once() {
    for desk in desks("ledger-crowd").await {
        let post = LedgerPost::new(desk.shop.targets.clone());
        let (inputs, before) = (sale(7), Before { key: "many-at-once".to_owned() });
        let all = (0..12).map(|_| post.perform(&desk.shop.cx, &inputs, &before));
        for done in join_all(all).await {
            assert!(done.unwrap().checks.iter().all(|check| check.pass));
        }
        assert_eq!(verify(&desk).await.unwrap().outputs.postings, 1);
    }
}

/// The worker dies while somebody else holds the books; whoever comes after it posts once.
#[tokio::test]
async fn killed_in_the_middle_it_is_posted_whole_or_not_at_all() {
    for desk in desks("ledger-killed").await {
        let post = LedgerPost::new(desk.shop.targets.clone());
        let first = Before { key: "first".to_owned() };
        post.perform(&desk.shop.cx, &sale(1), &first).await.unwrap();
        let before = Before { key: "killed".to_owned() };
        let worker = |post: LedgerPost| {
            let (cx, before) = (desk.shop.cx.clone(), before.clone());
            tokio::spawn(async move { post.perform(&cx, &sale(7), &before).await })
        };
        if desk.is_sqlite() {
            let file =
                rusqlite::Connection::open(desk.url.strip_prefix("sqlite:").unwrap()).unwrap();
            file.execute_batch("BEGIN IMMEDIATE").unwrap();
            let worker = worker(post.clone());
            tokio::task::yield_now().await;
            worker.abort();
            file.execute_batch("ROLLBACK").unwrap();
        } else {
            let mut session = desk.session().await;
            let held = session.transaction().await.unwrap();
            held.batch_execute("LOCK TABLE ledger_posting IN EXCLUSIVE MODE").await.unwrap();
            let worker = worker(post.clone());
            desk.until_somebody_waits().await;
            worker.abort();
            held.rollback().await.unwrap();
        }
        for _ in 0..2 {
            let done = post.perform(&desk.shop.cx, &sale(7), &before).await.unwrap();
            assert!(done.checks.iter().all(|check| check.pass), "{:?}", done.checks);
        }
        assert_eq!(verify(&desk).await.unwrap().outputs.postings, 2);
    }
}

/// Not by our own word alone: somebody else tries, and the books are the same afterwards.
#[tokio::test]
async fn nobody_changes_or_forgets_what_is_posted() {
    for desk in desks("ledger-kept").await {
        let post = LedgerPost::new(desk.shop.targets.clone());
        let before = Before { key: "kept".to_owned() };
        post.perform(&desk.shop.cx, &sale(7), &before).await.unwrap();
        let books = verify(&desk).await.unwrap().outputs;
        let mut vandals = vec![
            "UPDATE ledger_entry SET amount = amount + 1",
            "DELETE FROM ledger_entry",
            "DELETE FROM ledger_posting",
            "UPDATE ledger_posting SET key = 'another'",
            "INSERT INTO ledger_entry VALUES ('kept', 2, 'a', 'eur', 1, '')",
            "BEGIN; INSERT INTO ledger_entry VALUES ('new', 0, 'a', 'eur', 1, ''); \
             INSERT INTO ledger_posting VALUES ('new', NULL, 0); COMMIT",
            "BEGIN; INSERT INTO ledger_posting VALUES ('empty', NULL, 0); COMMIT",
        ];
        vandals.extend(if desk.is_sqlite() {
            [
                "REPLACE INTO ledger_entry VALUES ('kept', 0, 'a', 'eur', 1, '')",
                "REPLACE INTO ledger_posting VALUES ('kept', NULL, 5)",
            ]
        } else {
            [
                "TRUNCATE ledger_entry, ledger_posting",
                "BEGIN; INSERT INTO ledger_entry VALUES ('none', 0, 'a', 'eur', 1, ''); COMMIT",
            ]
        });
        for vandal in vandals {
            assert!(desk.run(vandal).await.is_err(), "{vandal} was let happen");
            assert_eq!(verify(&desk).await.unwrap().outputs, books, "{vandal}");
        }
    }
}

/// Books whose guards somebody has taken away are told, and not by waiting for harm.
#[tokio::test]
async fn books_that_can_be_changed_are_found_out() {
    for desk in desks("ledger-open").await {
        let post = LedgerPost::new(desk.shop.targets.clone());
        post.perform(&desk.shop.cx, &sale(7), &Before { key: "one".to_owned() }).await.unwrap();
        let on = if desk.is_sqlite() { "" } else { " ON ledger_entry" };
        desk.run(&format!("DROP TRIGGER ledger_entry_is_kept{on}")).await.unwrap();
        let books = verify(&desk).await.unwrap();
        let failed: Vec<_> = books.checks.iter().filter(|check| !check.pass).collect();
        assert_eq!((failed.len(), failed[0].id.as_str()), (1, "let_happen"));
        assert!(failed[0].note.contains("an amount is changed"), "{}", failed[0].note);
        assert_eq!(books.outputs.lines[0].amount, 7, "and the try was taken back");
        desk.run("UPDATE ledger_entry SET amount = 8 WHERE line = 0").await.unwrap();
        let books = verify(&desk).await.unwrap();
        let wrong = books.checks.iter().find(|check| check.id.as_str() == "out_of_balance");
        assert_eq!(wrong.unwrap().measured, "1");
    }
}

#[tokio::test]
async fn what_is_out_of_balance_is_refused_before_the_books_are_touched() {
    let desk = desks("ledger-bad").await.remove(0);
    let post = LedgerPost::new(desk.shop.targets.clone());
    let of = |entries: Vec<Entry>| Inputs { entries };
    let bad = [
        of(vec![]),
        of(vec![entry("a", "eur", 1)]),
        of(vec![entry("a", "eur", 1), entry("b", "eur", -2)]),
        of(vec![entry("a", "eur", 1), entry("b", "usd", -1)]),
        of(vec![
            entry("a", "eur", 1),
            entry("b", "eur", -1),
            entry("a", "usd", 1),
            entry("b", "usd", -1),
        ]),
        of(vec![entry("a", "eur", 0), entry("b", "eur", 0)]),
        of(vec![entry("a", "EUR", 1), entry("b", "EUR", -1)]),
        of(vec![entry("", "eur", 1), entry("b", "eur", -1)]),
        of(vec![entry("a", "eur", i64::MAX), entry("b", "eur", -i64::MAX)]),
    ];
    for inputs in bad {
        let refused = post.prepare(&desk.shop.cx, &inputs).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.class, ErrorClass::InvalidInput, "{inputs:?}");
    }
    assert_eq!(verify(&desk).await.unwrap_err().class, ErrorClass::PreconditionFailed);
    let away = crate::testing::Shop::open().await;
    let refused = LedgerPost::new(away.targets.clone()).prepare(&away.cx, &sale(1)).await;
    assert_eq!(refused.map(|_| ()).unwrap_err().class, ErrorClass::Unsupported);
    let gone = serde_json::json!({"ledger": "postgresql://u@127.0.0.1:1/d", "timeout_ms": 500});
    let gone = crate::testing::Shop::with(gone).await;
    let refused = LedgerPost::new(gone.targets.clone()).prepare(&gone.cx, &sale(1)).await;
    assert_eq!(refused.map(|_| ()).unwrap_err().class, ErrorClass::Unavailable);
}
