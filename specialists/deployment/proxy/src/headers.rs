//! What of a head is for the next hop only. RFC 9110, section 7.6.1.

use hyper::{
    HeaderMap,
    header::{CONNECTION, HeaderName, HeaderValue},
};

/// Fields that end at this hop even where `Connection` does not name them.
const HOP_BY_HOP: [HeaderName; 7] = [
    hyper::header::PROXY_AUTHENTICATE,
    hyper::header::PROXY_AUTHORIZATION,
    hyper::header::TE,
    hyper::header::TRAILER,
    hyper::header::TRANSFER_ENCODING,
    hyper::header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Removes what the other side must not see.
pub(crate) fn end_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let lines = headers.get_all(CONNECTION).iter();
        let words = lines.filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
        let named: Vec<HeaderName> = words.filter_map(|w| w.trim().parse().ok()).collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Says whom the request came from; behind what earlier hops said.
pub(crate) fn came_from(headers: &mut HeaderMap, peer: &HeaderValue) {
    headers.append(FORWARDED_FOR, peer.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_this_hop_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "shop"),
            ("connection", "keep-alive, X-Secret"),
            ("connection", "upgrade"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "websocket"),
            ("x-secret", "1"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "10.0.0.1"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        end_hop(&mut headers);
        came_from(&mut headers, &HeaderValue::from_static("127.0.0.1"));
        let left: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        let expected =
            [("host", "shop"), ("x-forwarded-for", "10.0.0.1"), ("x-forwarded-for", "127.0.0.1")];
        assert_eq!(left, expected);
    }
}
