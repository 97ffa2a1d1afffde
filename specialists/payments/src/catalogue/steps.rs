//! The steps from what is there to what shall be, and back. Pure, but for [`Step::run`].

use std::{collections::BTreeSet, fmt};

use deadelus_runtime::{ErrorClass, Failure, canonical, sha256};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    declared::{self, Catalogue, Terms},
    observed::{self, MADE_BY, Observed},
};
use crate::client::{Client, Fault, Form};

/// One request that changes something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Step {
    /// A product that is not there.
    CreateProduct {
        /// Its id.
        id: String,
        /// What a customer reads.
        name: String,
        /// What else a customer reads.
        description: Option<String>,
        /// The task.
        made_by: String,
    },
    /// A product that shall be otherwise.
    SetProduct {
        /// Its id.
        id: String,
        /// What a customer reads.
        name: String,
        /// What else a customer reads.
        description: Option<String>,
        /// Whether it can be sold.
        active: bool,
    },
    /// A product that nothing was ever sold under.
    DeleteProduct {
        /// Its id.
        id: String,
    },
    /// A price that is not there; takes the lookup key over from whoever holds it.
    CreatePrice {
        /// The product's id.
        product: String,
        /// The name it is asked for by.
        lookup_key: String,
        /// What it says.
        terms: Terms,
        /// The task.
        made_by: String,
    },
    /// A price that shall be sold or archived, under this lookup key or none.
    SetPrice {
        /// The provider's id.
        id: String,
        /// Whether it can be sold.
        active: bool,
        /// Taken over from whoever holds it.
        lookup_key: Option<String>,
    },
}

/// What is still to do so that all of the catalogue is there. `before` is what was seen before the
/// first step: whoever held a lookup key then, and does no more, is archived.
///
/// # Errors
/// `invalid_input` when a price would have to be replaced, and `replace` does not allow it.
pub(crate) fn forth(
    catalogue: &Catalogue,
    before: &Observed,
    now: &Observed,
    replace: bool,
    made_by: &str,
) -> Result<Vec<Step>, Failure> {
    let mut steps = vec![];
    for product in &catalogue.products {
        steps.extend(product_step(product, now.products.get(&product.id), made_by));
    }
    for (product, price) in catalogue.prices() {
        let holder = now.holder(&price.lookup_key);
        let fits = |held: &observed::Price| {
            held.product == product.id && held.terms.as_ref() == Some(&price.terms)
        };
        match holder {
            Some((id, held)) if fits(held) => {
                if !held.active {
                    let lookup_key = held.lookup_key.clone();
                    steps.push(Step::SetPrice { id: id.clone(), active: true, lookup_key });
                }
            }
            Some((id, _)) if !replace => return Err(differs(&price.lookup_key, id)),
            Some(_) | None => steps.push(Step::CreatePrice {
                product: product.id.clone(),
                lookup_key: price.lookup_key.clone(),
                terms: price.terms.clone(),
                made_by: made_by.to_owned(),
            }),
        }
        if let Some((id, held)) = before.holder(&price.lookup_key)
            && !fits(held)
            && now.prices.get(id).unwrap_or(held).active
        {
            steps.push(Step::SetPrice { id: id.clone(), active: false, lookup_key: None });
        }
    }
    Ok(steps)
}

fn product_step(
    product: &declared::Product,
    now: Option<&observed::Product>,
    made_by: &str,
) -> Option<Step> {
    let (id, name) = (product.id.clone(), product.name.clone());
    let description = product.description.clone().filter(|text| !text.is_empty());
    match now {
        None => Some(Step::CreateProduct { id, name, description, made_by: made_by.to_owned() }),
        Some(now) if now.active && now.name == name && now.description == description => None,
        Some(_) => Some(Step::SetProduct { id, name, description, active: true }),
    }
}

fn differs(lookup_key: &str, id: &str) -> Failure {
    let text = format!("prices: {lookup_key:?}: {id} says something else, and cannot be changed");
    Failure::new(ErrorClass::InvalidInput, text)
        .help("pass replace: true to archive it and give its lookup key to a new price")
}

/// What is still to do so that everything is as it was, as far as that can be: what `made_by` made
/// is archived, or deleted where it can be; the rest gets its lookup keys, names and states back.
pub(crate) fn back(before: &Observed, now: &Observed, made_by: &str) -> Vec<Step> {
    let mut steps = vec![];
    for (id, then) in &before.prices {
        let changed = now
            .prices
            .get(id)
            .is_some_and(|now| now.active != then.active || now.lookup_key != then.lookup_key);
        if changed {
            let (active, lookup_key) = (then.active, then.lookup_key.clone());
            steps.push(Step::SetPrice { id: id.clone(), active, lookup_key });
        }
    }
    let returned: BTreeSet<&String> =
        before.prices.values().filter_map(|price| price.lookup_key.as_ref()).collect();
    for (id, price) in made(&now.prices, made_by, |price| price.made_by.as_ref()) {
        if before.prices.contains_key(id) {
            continue;
        }
        let named = price.lookup_key.as_ref().is_some_and(|key| !returned.contains(key));
        if price.active || named {
            steps.push(Step::SetPrice { id: id.clone(), active: false, lookup_key: None });
        }
    }
    for (id, then) in &before.products {
        let changed = now.products.get(id).is_some_and(|now| now != then);
        if changed {
            let (name, description) = (then.name.clone(), then.description.clone());
            steps.push(Step::SetProduct { id: id.clone(), name, description, active: then.active });
        }
    }
    for (id, product) in made(&now.products, made_by, |product| product.made_by.as_ref()) {
        if before.products.contains_key(id) {
            continue;
        }
        let (id, used) = (id.clone(), now.prices.values().any(|price| price.product == *id));
        if !used {
            steps.push(Step::DeleteProduct { id });
        } else if product.active {
            let (name, description) = (product.name.clone(), product.description.clone());
            steps.push(Step::SetProduct { id, name, description, active: false });
        }
    }
    steps
}

/// What stays when the way back is done, in words.
pub(crate) fn residue(before: &Observed, now: &Observed, made_by: &str) -> Vec<String> {
    let prices = made(&now.prices, made_by, |price| price.made_by.as_ref())
        .filter(|(id, _)| !before.prices.contains_key(*id))
        .map(|(id, price)| format!("price {id} of {} stays, archived", price.product));
    let products = made(&now.products, made_by, |product| product.made_by.as_ref())
        .filter(|(id, _)| !before.products.contains_key(*id))
        .map(|(id, _)| format!("product {id} stays, archived"));
    prices.chain(products).collect()
}

fn made<'a, T>(
    all: &'a std::collections::BTreeMap<String, T>,
    made_by: &'a str,
    by: fn(&T) -> Option<&String>,
) -> impl Iterator<Item = (&'a String, &'a T)> {
    all.iter().filter(move |(_, one)| by(one).is_some_and(|by| by == made_by))
}

impl Step {
    /// Asks the provider for it. What creates has a key, made from `key` and the step itself; what
    /// sets says how it shall be, and can be said twice.
    pub(crate) async fn run(&self, client: &Client, key: &str) -> Result<(), Fault> {
        match self {
            Self::DeleteProduct { id } => client.delete(&format!("/v1/products/{id}")).await,
            Self::CreateProduct { .. } | Self::CreatePrice { .. } => {
                let step = canonical::text(&serde_json::json!(self));
                let key = sha256(format!("{key}.{step}").as_bytes()).to_string();
                client.post(&self.path(), &self.form(), Some(&key)).await
            }
            Self::SetProduct { .. } | Self::SetPrice { .. } => {
                client.post(&self.path(), &self.form(), None).await
            }
        }
        .map(|_| ())
    }

    fn path(&self) -> String {
        match self {
            Self::CreateProduct { .. } => "/v1/products".to_owned(),
            Self::CreatePrice { .. } => "/v1/prices".to_owned(),
            Self::SetProduct { id, .. } | Self::DeleteProduct { id } => {
                format!("/v1/products/{id}")
            }
            Self::SetPrice { id, .. } => format!("/v1/prices/{id}"),
        }
    }

    fn form(&self) -> Form {
        let mut form = Form::new();
        let mut put = |name: &str, value: &str| form.push((name.to_owned(), value.to_owned()));
        match self {
            Self::CreateProduct { id, name, description, made_by } => {
                put("id", id);
                put("name", name);
                if let Some(description) = description {
                    put("description", description);
                }
                put(&format!("metadata[{MADE_BY}]"), made_by);
            }
            Self::SetProduct { name, description, active, .. } => {
                put("name", name);
                put("description", description.as_deref().unwrap_or_default());
                put("active", &active.to_string());
            }
            Self::CreatePrice { product, lookup_key, terms, made_by } => {
                put("product", product);
                put("lookup_key", lookup_key);
                put("transfer_lookup_key", "true");
                put("currency", &terms.currency);
                put("unit_amount", &terms.unit_amount.to_string());
                if let Some(period) = &terms.recurring {
                    put("recurring[interval]", period.interval.as_str());
                    put("recurring[interval_count]", &period.interval_count.to_string());
                }
                put(&format!("metadata[{MADE_BY}]"), made_by);
            }
            Self::SetPrice { active, lookup_key, .. } => {
                put("active", &active.to_string());
                put("lookup_key", lookup_key.as_deref().unwrap_or_default());
                if lookup_key.is_some() {
                    put("transfer_lookup_key", "true");
                }
            }
            Self::DeleteProduct { .. } => {}
        }
        form
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateProduct { id, .. } => write!(f, "create product {id}"),
            Self::SetProduct { id, active: true, .. } => write!(f, "change product {id}"),
            Self::SetProduct { id, active: false, .. } => write!(f, "archive product {id}"),
            Self::DeleteProduct { id } => write!(f, "delete product {id}"),
            Self::CreatePrice { lookup_key, .. } => write!(f, "create price {lookup_key}"),
            Self::SetPrice { id, active: true, .. } => write!(f, "sell price {id}"),
            Self::SetPrice { id, active: false, .. } => write!(f, "archive price {id}"),
        }
    }
}
