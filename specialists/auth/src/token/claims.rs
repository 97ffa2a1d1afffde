//! What a token says, and whether that is what is expected of it.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Algorithm, Refusal};

/// What a token has to be.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) algorithms: Vec<Algorithm>,
    /// Exactly this one; any when it is not given.
    pub(crate) issuer: Option<String>,
    /// It, or a list with it; any when it is not given.
    pub(crate) audience: Option<String>,
    /// How far clocks may be apart.
    pub(crate) leeway_s: u32,
}

/// The claims that have a meaning here, and the names of all.
#[derive(Clone, Deserialize)]
pub(crate) struct Claims {
    iss: Option<String>,
    aud: Option<Audience>,
    exp: Option<f64>,
    nbf: Option<f64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

pub(super) fn parse(payload: &[u8]) -> Result<Claims, Refusal> {
    serde_json::from_slice(payload).map_err(|_| Refusal::Claims)
}

impl Claims {
    /// The names, without what stands there, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let known = [
            ("iss", self.iss.is_some()),
            ("aud", self.aud.is_some()),
            ("exp", self.exp.is_some()),
            ("nbf", self.nbf.is_some()),
        ];
        let known = known.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_owned());
        let mut names: Vec<_> = known.chain(self.others.keys().cloned()).collect();
        names.sort();
        names
    }

    pub(super) fn judge(&self, expected: &Expected, now_unix_s: i64) -> Result<(), Refusal> {
        #[expect(clippy::cast_precision_loss, reason = "exact for two hundred million years")]
        let now = now_unix_s as f64;
        let leeway = f64::from(expected.leeway_s);
        let Some(expires) = self.exp else { return Err(Refusal::NoExpiry) };
        if now >= expires + leeway {
            return Err(Refusal::Expired);
        }
        if self.nbf.is_some_and(|begins| now < begins - leeway) {
            return Err(Refusal::NotYet);
        }
        if expected.issuer.is_some() && self.iss != expected.issuer {
            return Err(Refusal::Issuer);
        }
        match (&expected.audience, &self.aud) {
            (None, _) => Ok(()),
            (Some(wanted), Some(Audience::One(one))) if one == wanted => Ok(()),
            (Some(wanted), Some(Audience::Many(many))) if many.contains(wanted) => Ok(()),
            (Some(_), _) => Err(Refusal::Audience),
        }
    }
}
