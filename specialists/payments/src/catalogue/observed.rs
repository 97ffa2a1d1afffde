//! The catalogue as the provider shows it: of the declared products and lookup keys, nothing else.

use std::collections::BTreeMap;

use deadelus_runtime::fingerprint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::declared::{Catalogue, Interval, Recurring, Terms};
use crate::client::{Client, Fault};

/// As many lookup keys as one list takes.
const LOOKUP_KEYS_MAX: usize = 10;

/// Under which name an object remembers which task made it.
pub(crate) const MADE_BY: &str = "deadelus";

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// By id.
    pub products: BTreeMap<String, Product>,
    /// By the provider's id.
    pub prices: BTreeMap<String, Price>,
}

/// A product at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// What a customer reads.
    pub name: String,
    /// What else a customer reads.
    pub description: Option<String>,
    /// Whether it can be sold.
    pub active: bool,
    /// The task that made it.
    pub made_by: Option<String>,
}

/// A price at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The product's id.
    pub product: String,
    /// What it says; none when it says what a catalogue here cannot declare (tiers, usage).
    pub terms: Option<Terms>,
    /// Whether it can be sold.
    pub active: bool,
    /// The name it is asked for by.
    pub lookup_key: Option<String>,
    /// The task that made it.
    pub made_by: Option<String>,
}

impl Observed {
    /// Looks at everything the catalogue names: its products with all their prices, and whoever
    /// holds its lookup keys.
    pub(crate) async fn look(client: &Client, catalogue: &Catalogue) -> Result<Self, Fault> {
        let mut observed = Self::default();
        for product in &catalogue.products {
            let found = client.get(&format!("/v1/products/{}", product.id)).await?;
            if let Some(found) = found.filter(|found| found["deleted"] != true) {
                observed.products.insert(product.id.clone(), read_product(&found));
                let narrow = vec![("product".to_owned(), product.id.clone())];
                observed.add(client.list("/v1/prices", &narrow).await?);
            }
        }
        let keys: Vec<&str> = catalogue.prices().map(|(_, p)| p.lookup_key.as_str()).collect();
        for some in keys.chunks(LOOKUP_KEYS_MAX) {
            let named = |key: &&str| ("lookup_keys[]".to_owned(), (*key).to_owned());
            let narrow = some.iter().map(named).collect();
            observed.add(client.list("/v1/prices", &narrow).await?);
        }
        Ok(observed)
    }

    fn add(&mut self, prices: Vec<Value>) {
        let read = |price: &Value| Some((price["id"].as_str()?.to_owned(), read_price(price)));
        self.prices.extend(prices.iter().filter_map(read));
    }

    /// Who holds a lookup key; by the provider's rules there is one at most.
    pub(crate) fn holder(&self, lookup_key: &str) -> Option<(&String, &Price)> {
        self.prices.iter().find(|(_, price)| price.lookup_key.as_deref() == Some(lookup_key))
    }

    /// SHA-256 of all of it.
    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(self).to_string()
    }
}

fn read_product(product: &Value) -> Product {
    Product {
        name: product["name"].as_str().unwrap_or_default().to_owned(),
        description: text(&product["description"]),
        active: product["active"] == true,
        made_by: text(&product["metadata"][MADE_BY]),
    }
}

fn read_price(price: &Value) -> Price {
    Price {
        product: price["product"].as_str().unwrap_or_default().to_owned(),
        terms: read_terms(price),
        active: price["active"] == true,
        lookup_key: text(&price["lookup_key"]),
        made_by: text(&price["metadata"][MADE_BY]),
    }
}

fn read_terms(price: &Value) -> Option<Terms> {
    let period = &price["recurring"];
    let plain = price["billing_scheme"] == "per_unit"
        && (period.is_null() || period["usage_type"] == "licensed");
    let read = |period: &Value| {
        let interval = read_interval(period["interval"].as_str()?)?;
        let interval_count = period["interval_count"].as_u64()?.try_into().ok()?;
        Some(Recurring { interval, interval_count })
    };
    let recurring = if period.is_null() { None } else { Some(read(period)?) };
    let currency = price["currency"].as_str().filter(|_| plain)?.to_owned();
    Some(Terms { currency, unit_amount: price["unit_amount"].as_u64()?, recurring })
}

fn read_interval(text: &str) -> Option<Interval> {
    let all = [Interval::Day, Interval::Week, Interval::Month, Interval::Year];
    all.into_iter().find(|interval| interval.as_str() == text)
}

/// Text; none when it is empty or not there.
fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
