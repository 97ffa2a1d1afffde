//! `payments.reconcile`: the provider's payments and refunds beside those of a ledger.

use std::{collections::BTreeMap, time::Duration};

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    client::{Client, Fault},
    target::Targets,
};

/// Ten thousand objects of each kind, a hundred at a time.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Differences that are listed; all of them count.
const LISTED_MAX: usize = 100;

/// A period and what the ledger has of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Beginning of the period, in Unix seconds, by the time the provider made the object.
    pub from_unix_s: i64,
    /// End of the period, not part of it.
    pub until_unix_s: i64,
    /// What was written down. Lines of one reference are added up.
    pub ledger: Vec<Line>,
    /// Of these of the provider's customers alone; of everybody, when none are named.
    #[serde(default)]
    pub customers: Vec<String>,
}

/// One line of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The provider's id of the payment or the refund.
    pub reference: String,
    /// ISO 4217, in small letters.
    pub currency: String,
    /// In the currency's smallest unit; a refund is negative.
    pub amount: i64,
}

/// What the two say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// How many agree.
    pub matched: usize,
    /// The provider has it, the ledger has not; the first hundred.
    pub missing_here: Vec<String>,
    /// The ledger has it, the provider has not; the first hundred.
    pub missing_there: Vec<String>,
    /// Both have it, with another amount; the first hundred.
    pub differing: Vec<String>,
    /// Of the provider, by currency.
    pub provider_totals: BTreeMap<String, i64>,
    /// Of the ledger, by currency.
    pub ledger_totals: BTreeMap<String, i64>,
}

/// `payments.reconcile`
#[derive(Debug, Clone)]
pub struct Reconcile {
    targets: Targets,
}

impl Reconcile {
    /// For these providers.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for Reconcile {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "reconcile",
            role: crate::ROLE,
            summary: "Compares the provider's payments and refunds with a ledger.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("unexplained", "what only one of the two has, or has otherwise"),
                ("currencies_out_of_balance", "those whose sums are not the same"),
            ],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        if inputs.from_unix_s >= inputs.until_unix_s {
            let text = "until_unix_s: must be later than from_unix_s";
            return Err(Failure::new(ErrorClass::InvalidInput, text));
        }
        let client = self.targets.open(cx)?;
        let there = look(&client, &inputs).await;
        let there = there.map_err(|fault| fault.untouched("reading the provider's books"))?;
        Ok(compare(&there, &inputs.ledger))
    }
}

/// By reference and currency.
type Books = BTreeMap<(String, String), i64>;

/// Everything of the period, or a fault: a page that is missing would look like agreement.
async fn look(client: &Client, inputs: &Inputs) -> Result<Books, Fault> {
    let within = [
        ("created[gte]".to_owned(), inputs.from_unix_s.to_string()),
        ("created[lt]".to_owned(), inputs.until_unix_s.to_string()),
    ];
    let (payments, refunds) = ("/v1/payment_intents", "/v1/refunds");
    let mut books = Books::new();
    if inputs.customers.is_empty() {
        books.extend(read(client, payments, &within, "amount_received", 1).await?);
        books.extend(read(client, refunds, &within, "amount", -1).await?);
    }
    for customer in &inputs.customers {
        let of = [&within[..], &[("customer".to_owned(), customer.clone())]].concat();
        let paid = read(client, payments, &of, "amount_received", 1).await?;
        for (payment, _) in paid.keys() {
            let of = [&within[..], &[("payment_intent".to_owned(), payment.clone())]].concat();
            books.extend(read(client, refunds, &of, "amount", -1).await?);
        }
        books.extend(paid);
    }
    Ok(books)
}

/// What succeeded of one list.
async fn read(
    client: &Client,
    path: &str,
    narrow: &[(String, String)],
    amount: &str,
    sign: i64,
) -> Result<Books, Fault> {
    let mut books = Books::new();
    for object in client.list(path, &narrow.to_vec()).await? {
        let text = |name: &str| object[name].as_str().map(str::to_owned);
        let read = (text("id"), text("currency"), object[amount].as_i64(), text("status"));
        let (Some(id), Some(currency), Some(amount), Some(status)) = read else {
            let why = "an object has no id, currency, amount or status";
            return Err(Fault::Truncated { path: path.to_owned(), why });
        };
        if status == "succeeded" {
            books.insert((id, currency), amount * sign);
        }
    }
    Ok(books)
}

fn compare(there: &Books, ledger: &[Line]) -> Measured<Outputs> {
    let mut here = Books::new();
    for line in ledger {
        let key = (line.reference.clone(), line.currency.clone());
        let sum = here.entry(key).or_default();
        *sum = sum.saturating_add(line.amount);
    }
    let name = |(reference, currency): &(String, String), amount: i64| {
        format!("{reference}: {amount} {currency}")
    };
    let missing = |of: &Books, in_: &Books| -> Vec<String> {
        let only = of.iter().filter(|(key, _)| !in_.contains_key(*key));
        only.map(|(key, amount)| name(key, *amount)).collect()
    };
    let mut missing_here = missing(there, &here);
    let mut missing_there = missing(&here, there);
    let both = || there.iter().filter_map(|(key, amount)| Some((key, amount, here.get(key)?)));
    let matched = both().filter(|(_, there, here)| there == here).count();
    let differ = both().filter(|(_, there, here)| there != here);
    let mut differing: Vec<String> =
        differ.map(|(key, there, here)| format!("{}, here {here}", name(key, *there))).collect();
    let (provider_totals, ledger_totals) = (totals(there), totals(&here));
    let currencies = provider_totals.keys().chain(ledger_totals.keys());
    let unbalanced: std::collections::BTreeSet<&String> = currencies
        .filter(|one| {
            provider_totals.get(*one).unwrap_or(&0) != ledger_totals.get(*one).unwrap_or(&0)
        })
        .collect();
    let unexplained = missing_here.len() + missing_there.len() + differing.len();
    let checks = vec![
        Check::equal("unexplained", unexplained, 0),
        Check::equal("currencies_out_of_balance", unbalanced.len(), 0),
    ];
    for list in [&mut missing_here, &mut missing_there, &mut differing] {
        list.truncate(LISTED_MAX);
    }
    let outputs =
        Outputs { matched, missing_here, missing_there, differing, provider_totals, ledger_totals };
    Measured::new(outputs, checks)
}

fn totals(books: &Books) -> BTreeMap<String, i64> {
    let mut totals = BTreeMap::<String, i64>::new();
    for ((_, currency), amount) in books {
        let total = totals.entry(currency.clone()).or_default();
        *total = total.saturating_add(*amount);
    }
    totals
}

#[cfg(test)]
mod tests {
    use deadelus_provider::{Fault as Trouble, Trap};
    use serde_json::Value;

    use super::*;
    use crate::testing::Shop;

    async fn reconcile(shop: &Shop, ledger: Vec<Line>) -> Result<Measured<Outputs>, Failure> {
        reconcile_of(shop, ledger, vec![]).await
    }

    async fn reconcile_of(
        shop: &Shop,
        ledger: Vec<Line>,
        customers: Vec<String>,
    ) -> Result<Measured<Outputs>, Failure> {
        let inputs = Inputs { from_unix_s: 0, until_unix_s: i64::MAX, ledger, customers };
        Reconcile::new(shop.targets.clone()).perform(&shop.cx, inputs).await
    }

    /// A hundred and one payments, one refund, one payment that never was; and their ledger.
    async fn open() -> (Shop, Vec<Line>) {
        let shop = Shop::open().await;
        let mut ledger = vec![];
        let mut line = |object: &Value, sign: i64| {
            let amount = object["amount"].as_i64().unwrap() * sign;
            let text = |name: &str| object[name].as_str().unwrap().to_owned();
            ledger.push(Line { reference: text("id"), currency: text("currency"), amount });
            text("id")
        };
        let mut last = String::new();
        for amount in 1..=101 {
            let amount = amount.to_string();
            let currency = ("currency", "eur");
            let paid = [("payment_method", "pm_card_visa"), ("confirm", "true")];
            let form = [("amount", amount.as_str()), currency, paid[0], paid[1]];
            last = line(&shop.post("/v1/payment_intents", &form).await, 1);
        }
        shop.post("/v1/payment_intents", &[("amount", "7"), ("currency", "eur")]).await;
        let form = [("payment_intent", last.as_str()), ("amount", "5")];
        line(&shop.post("/v1/refunds", &form).await, -1);
        (shop, ledger)
    }

    #[tokio::test]
    async fn two_books_agree_or_it_is_said_where_they_do_not() {
        let (shop, mut ledger) = open().await;
        let agreed = reconcile(&shop, ledger.clone()).await.unwrap();
        assert!(agreed.checks.iter().all(|check| check.pass), "{:?}", agreed.checks);
        assert_eq!(agreed.outputs.matched, 102);
        assert_eq!(agreed.outputs.provider_totals["eur"], (1..=101).sum::<i64>() - 5);

        let gone = ledger.remove(0).reference;
        ledger[0].amount += 1;
        let (reference, currency) = ("pi_nobody".to_owned(), "usd".to_owned());
        ledger.push(Line { reference, currency, amount: 3 });
        let differ = reconcile(&shop, ledger).await.unwrap();
        assert_eq!(differ.checks[0].measured, "3");
        assert!(!differ.checks[1].pass);
        assert_eq!(differ.outputs.missing_here, [format!("{gone}: 1 eur")]);
        assert_eq!(differ.outputs.missing_there, ["pi_nobody: 3 usd"]);
        assert!(differ.outputs.differing[0].ends_with(": 2 eur, here 3"));
    }

    #[tokio::test]
    async fn the_books_of_one_customer_have_nothing_of_others() {
        let (shop, _) = open().await;
        let ann = shop.post("/v1/customers", &[("name", "ann")]).await["id"].clone();
        let ann = ann.as_str().unwrap().to_owned();
        let (card, confirm) = (("payment_method", "pm_card_visa"), ("confirm", "true"));
        let form = [("amount", "9"), ("currency", "eur"), ("customer", &ann), card, confirm];
        let paid = shop.post("/v1/payment_intents", &form).await["id"].clone();
        let form = [("payment_intent", paid.as_str().unwrap()), ("amount", "2")];
        let back = shop.post("/v1/refunds", &form).await["id"].clone();
        let line = |id: &Value, amount| Line {
            reference: id.as_str().unwrap().to_owned(),
            currency: "eur".to_owned(),
            amount,
        };
        let ledger = vec![line(&paid, 9), line(&back, -2)];
        let agreed = reconcile_of(&shop, ledger, vec![ann]).await.unwrap();
        assert!(agreed.checks.iter().all(|check| check.pass), "{:?}", agreed.outputs);
        assert_eq!(agreed.outputs.matched, 2);
    }

    #[tokio::test]
    async fn a_page_that_is_lost_is_no_agreement() {
        let (shop, ledger) = open().await;
        for fault in [Trouble::LostAnswer, Trouble::ServerError, Trouble::TooManyRequests] {
            let (method, path) = ("GET".to_owned(), "/v1/payment_intents".to_owned());
            shop.provider.trap(Trap { fault, method, path, skip: 1 });
            let failure = reconcile(&shop, ledger.clone()).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::Unavailable, "{fault:?}: {failure}");
        }
        reconcile(&shop, ledger).await.unwrap();
    }
}
