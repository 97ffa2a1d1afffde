//! Events and their signatures.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use hmac_sha2::Sha256;

/// An event on its way to an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) url: String,
    pub(crate) secret: String,
    pub(crate) body: String,
}

/// `t=…,v1=…` over `{t}.{body}`, as <https://docs.stripe.com/webhooks/signature> has it.
pub(crate) fn signature(secret: &str, body: &str, at_unix_s: i64) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{at_unix_s}.{body}").as_bytes());
    let mut text = format!("t={at_unix_s},v1=");
    for byte in mac.finalize().into_bytes() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
