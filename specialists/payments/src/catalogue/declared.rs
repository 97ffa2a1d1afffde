//! The catalogue as it shall be.

use std::collections::BTreeSet;

use deadelus_runtime::{ErrorClass, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything is listed in every report, and every report travels inline.
const PRICES_MAX: usize = 200;
/// As the provider documents them.
const LOOKUP_KEY_MAX_CHARS: usize = 200;

/// Products and prices. What is not named here is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// What is sold.
    pub products: Vec<Product>,
}

/// One thing that is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// The provider's id of it, chosen here: letters, digits, `_` and `-`.
    pub id: String,
    /// What a customer reads.
    pub name: String,
    /// What else a customer reads.
    #[serde(default)]
    pub description: Option<String>,
    /// What it costs.
    pub prices: Vec<Price>,
}

/// One price, found again by its lookup key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The name that a service asks for, in the whole account: `pro_monthly`.
    pub lookup_key: String,
    /// What it says; it cannot be changed, only replaced.
    #[serde(flatten)]
    pub terms: Terms,
}

/// What a price says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// ISO 4217, in small letters: `eur`.
    pub currency: String,
    /// In the currency's smallest unit: cents of a euro, whole yen.
    pub unit_amount: u64,
    /// How often it is paid; once when it is not given.
    #[serde(default)]
    pub recurring: Option<Recurring>,
}

/// A period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recurring {
    /// The unit.
    pub interval: Interval,
    /// How many of them, at least 1.
    #[serde(default = "one")]
    pub interval_count: u32,
}

/// The unit of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// 24 hours.
    Day,
    /// Seven days.
    Week,
    /// To the same day of the next, or its last.
    Month,
    /// Twelve months.
    Year,
}

impl Interval {
    /// As the provider spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

fn one() -> u32 {
    1
}

impl Catalogue {
    /// Refuses what no provider can be asked for. Touches nothing.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let invalid = |text: String| Err(Failure::new(ErrorClass::InvalidInput, text));
        let (mut ids, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for product in &self.products {
            let id = &product.id;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            if id.is_empty() || !id.bytes().all(plain) {
                return invalid(format!("products: id {id:?}: letters, digits, _ and -"));
            }
            if product.name.is_empty() {
                return invalid(format!("products: {id}: name: is empty"));
            }
            if !ids.insert(id) {
                return invalid(format!("products: {id:?} twice"));
            }
            for price in &product.prices {
                price.check()?;
                if !keys.insert(&price.lookup_key) {
                    return invalid(format!("prices: lookup_key {:?} twice", price.lookup_key));
                }
            }
        }
        if ids.is_empty() || keys.len() > PRICES_MAX {
            return invalid(format!(
                "products: name at least one, and at most {PRICES_MAX} prices"
            ));
        }
        Ok(())
    }

    /// Every price with the product it is of.
    pub(crate) fn prices(&self) -> impl Iterator<Item = (&Product, &Price)> {
        self.products.iter().flat_map(|product| product.prices.iter().map(move |p| (product, p)))
    }
}

impl Price {
    fn check(&self) -> Result<(), Failure> {
        let key = &self.lookup_key;
        let invalid = |text: String| {
            Err(Failure::new(ErrorClass::InvalidInput, format!("prices: {key:?}: {text}")))
        };
        if key.is_empty() || key.chars().count() > LOOKUP_KEY_MAX_CHARS {
            return invalid(format!("lookup_key: 1 to {LOOKUP_KEY_MAX_CHARS} characters"));
        }
        if !is_currency(&self.terms.currency) {
            return invalid(format!("currency: {:?} is not one", self.terms.currency));
        }
        if self.terms.recurring.as_ref().is_some_and(|period| period.interval_count == 0) {
            return invalid("interval_count: at least 1".to_owned());
        }
        Ok(())
    }
}

/// Whether it is an active code of ISO 4217, in small letters as the provider spells them.
pub(crate) fn is_currency(code: &str) -> bool {
    code.len() == 3 && CURRENCIES.split_ascii_whitespace().any(|known| known == code)
}

/// ISO 4217, active codes of money (no metals, no funds, no codes for tests).
const CURRENCIES: &str = "\
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl \
    bsd btn bwp byn bzd cad cdf chf clp cny cop crc cup cve czk djf dkk dop dzd egp \
    ern etb eur fjd fkp gbp gel ghs gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr \
    iqd irr isk jmd jod jpy kes kgs khr kmf kpw krw kwd kyd kzt lak lbp lkr lrd lsl \
    lyd mad mdl mga mkd mmk mnt mop mru mur mvr mwk mxn myr mzn nad ngn nio nok npr \
    nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sdg sek sgd \
    shp sle sos srd ssp stn svc syp szl thb tjs tmt tnd top try ttd twd tzs uah ugx \
    usd uyu uzs ves vnd vuv wst xaf xcd xof xpf yer zar zmw zwg";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_no_provider_can_be_asked_for_is_refused() {
        let price = |key: &str, currency: &str| {
            json!({"lookup_key": key, "currency": currency, "unit_amount": 1,
                "recurring": {"interval": "month"}})
        };
        let product = |id: &str, prices: Vec<Value>| {
            json!({"id": id, "name": "n",
                "prices": prices})
        };
        let amount = |currency: &str, amount: Value| {
            let mut price = price("k", currency);
            price["unit_amount"] = amount;
            price
        };
        let check = |products: Value| {
            let read = serde_json::from_value::<Catalogue>(json!({"products": products}));
            read.map_err(|e| e.to_string()).and_then(|c| c.check().map_err(|f| f.to_string()))
        };
        assert_eq!(
            check(json!([product("a", vec![price("k", "eur"), price("l", "jpy")])])),
            Ok(())
        );
        for (bad, named) in [
            (json!([]), "at least one"),
            (json!([product("a/b", vec![])]), "letters"),
            (json!([product("a", vec![]), product("a", vec![])]), "twice"),
            (json!([product("a", vec![price("k", "eur"), price("k", "usd")])]), "twice"),
            (json!([product("a", vec![price("k", "EUR")])]), "currency"),
            (json!([product("a", vec![price("k", "xyz")])]), "currency"),
            (json!([product("a", vec![price("", "eur")])]), "lookup_key"),
            (json!([product("a", vec![amount("jpy", json!(10.5))])]), "10.5"),
            (json!([product("a", vec![amount("eur", json!(-1))])]), "-1"),
        ] {
            let error = check(bad).unwrap_err();
            assert!(error.contains(named), "{named}: {error}");
        }
    }
}
