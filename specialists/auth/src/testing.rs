//! A target with a folder of its own, and a shop's policies, for the tests of this crate.

use std::ops::Deref;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deadelus_tests::folder::Folder;
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::target::{self, Targets};

/// Customers have orders; staff have roles.
pub(crate) const SCHEMA: &str = r#"
    entity Role;
    entity User in [Role];
    entity Shop;
    entity Order in [Shop] { owner: User, status: String };
    action readOrder, cancelOrder appliesTo { principal: User, resource: Order };
    action listOrders, createOrder appliesTo { principal: User, resource: Shop };
"#;

/// Customers see and cancel what is theirs, support sees all.
pub(crate) const POLICIES: &str = r#"
    @id("owner")
    permit(principal, action in [Action::"readOrder", Action::"cancelOrder"], resource)
    when { resource.owner == principal };
    @id("support")
    permit(principal in Role::"support", action in [Action::"readOrder", Action::"listOrders"], resource);
    @id("shipped")
    forbid(principal, action == Action::"cancelOrder", resource) when { resource.status == "shipped" };
"#;

/// Ann and her orders, one of which is shipped; Sue of support.
pub(crate) fn entities() -> Value {
    let order = |id: &str, status: &str| {
        json!({"uid": {"type": "Order", "id": id},
            "attrs": {"owner": {"type": "User", "id": "ann"}, "status": status},
            "parents": [{"type": "Shop", "id": "shop"}]})
    };
    let user = |id: &str, roles: Value| json!({"uid": {"type": "User", "id": id}, "attrs": {}, "parents": roles});
    json!([
        user("ann", json!([])),
        user("bob", json!([])),
        user("sue", json!([{"type": "Role", "id": "support"}])),
        order("1", "paid"),
        order("2", "shipped"),
    ])
}

/// Who makes tokens, with an Ed25519 key made for one test.
pub(crate) struct Issuer {
    pair: Ed25519KeyPair,
    kid: String,
}

impl Issuer {
    pub(crate) fn new(kid: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { pair: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap(), kid: kid.to_owned() }
    }

    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub(crate) fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "alg": "EdDSA",
            "x": encode(self.public())})
    }

    pub(crate) fn jwks(&self) -> Value {
        json!({"keys": [self.jwk()]})
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = encode(self.pair.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The folder of the target `shop`.
#[derive(Debug)]
pub(crate) struct Desk(Folder);

impl Deref for Desk {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self(Folder::empty())
    }

    pub(crate) fn targets(&self) -> Targets {
        self.targets_with(None)
    }

    /// With a live service.
    pub(crate) fn targets_with(&self, probe: Option<Value>) -> Targets {
        let config = json!({"folder": self.root(), "policies": self.path("served.cedar"),
            "keys": self.path("served.jwks"), "probe": probe});
        let config = serde_json::from_value(config).unwrap();
        target::checked([("shop".parse().unwrap(), config)].into()).unwrap()
    }
}
