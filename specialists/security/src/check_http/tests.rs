use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    routing::get,
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::{SecurityTarget, testing::targets};

/// A service that answers everything with these headers.
async fn service(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> SocketAddr {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    let status = StatusCode::from_u16(status).unwrap();
    let body = body.into();
    let answer = move || async move { (status, map, body) };
    let app = Router::new().route("/", get(answer.clone())).fallback(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn target(address: SocketAddr, settings: Value) -> SecurityTarget {
    let mut http = json!({ "base_url": format!("http://{address}"), "behind_tls": false });
    http.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    serde_json::from_value(json!({ "http": http })).unwrap()
}

async fn check(target: SecurityTarget, inputs: Value) -> Result<Measured<Outputs>, Failure> {
    let inputs = serde_json::from_value(inputs).unwrap();
    CheckHttp::new(targets(target)).perform(&Context::detached("shop"), inputs).await
}

/// Besides the header that every answer should have.
async fn rules(
    status: u16,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
    tls: Value,
) -> Vec<String> {
    let good = [("x-content-type-options", "nosniff")];
    let address = service(status, &[&good, headers].concat(), body).await;
    let measured = check(target(address, tls), json!({ "fail_on": "note" })).await.unwrap();
    assert_eq!(measured.checks[0].pass, measured.outputs.found.new == 0);
    measured.outputs.found.findings.into_iter().map(|finding| finding.rule).collect()
}

const PAGE: (&str, &str) = ("content-type", "text/html; charset=utf-8");
const GOOD_PAGE: [(&str, &str); 3] = [
    PAGE,
    ("content-security-policy", "default-src 'self'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
];

/// Headers, and the rules that they break.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[tokio::test]
async fn each_weakness_is_named_and_what_is_right_is_not() {
    let stranger = ("access-control-allow-origin", STRANGER);
    let credentials = ("access-control-allow-credentials", "true");
    let cases: [Case<'_>; 11] = [
        (&[], &[]),
        (&GOOD_PAGE, &[]),
        (&[PAGE], &["no-content-security-policy", "may-be-framed", "no-referrer-policy"]),
        (&[("server", "nginx")], &[]),
        (&[("server", "nginx/1.2.3")], &["version-told"]),
        (&[("set-cookie", "s=1; HttpOnly; SameSite=Lax; Path=/")], &[]),
        (&[("set-cookie", "s=1")], &["cookie-without-httponly", "cookie-without-samesite"]),
        (&[stranger], &["cors-reflects-origin"]),
        (&[stranger, credentials], &["cors-credentials-for-anybody"]),
        (&[("access-control-allow-origin", "*")], &[]),
        (&[("access-control-allow-origin", "https://shop.test"), credentials], &[]),
    ];
    for (headers, expected) in cases {
        assert_eq!(rules(200, headers, "{}", json!({})).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn behind_tls_more_is_expected() {
    let tls = json!({ "behind_tls": true });
    let found =
        rules(200, &[("set-cookie", "s=1; HttpOnly; SameSite=Strict")], "", tls.clone()).await;
    assert_eq!(found, ["cookie-without-secure", "no-strict-transport"]);
    let strict = ("strict-transport-security", "max-age=31536000; includeSubDomains");
    assert_eq!(rules(200, &[strict], "", tls).await, [""; 0]);
    let redirects = json!({ "redirects_to_tls": true });
    assert_eq!(rules(200, &[], "", redirects.clone()).await, ["no-redirect-to-tls"]);
    let to = ("location", "https://shop.test/");
    assert_eq!(rules(308, &[to], "", redirects).await, [""; 0]);
}

#[tokio::test]
async fn an_error_that_shows_the_inside_is_found() {
    let trace = "Traceback (most recent call last):\n  File \"shop.py\", line 1";
    let found = rules(500, &[], trace, json!({})).await;
    assert_eq!(found, ["error-tells-internals", "malformed-request-fails"]);
    let long = format!("{trace}{}", "\n  ...".repeat(1 << 19));
    assert_eq!(rules(500, &[], long, json!({})).await, found);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let broken = || async {
        let end = Err::<Bytes, _>(std::io::Error::other("the service died"));
        Body::from_stream(futures_util::stream::iter([Ok(Bytes::from("{")), end]))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(broken);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let failure = check(target(address, json!({})), json!({})).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable, "{failure}");
}

#[tokio::test]
async fn a_cookie_s_value_is_not_told() {
    let address = service(200, &[("set-cookie", "session=hunter2hunter2")], "").await;
    let measured = check(target(address, json!({})), json!({ "fail_on": "error" })).await.unwrap();
    assert!(!format!("{measured:?}").contains("hunter2"));
    assert_eq!(measured.checks[0].measured, "1");
    assert!(measured.checks[1].pass && measured.outputs.answered == 2);
}

#[tokio::test]
async fn only_the_configured_address_is_asked() {
    let address = service(200, &[], "").await;
    for (paths, class) in [
        (json!(["http://example.test/"]), ErrorClass::Denied),
        (json!(["@example.test/"]), ErrorClass::Denied),
        (json!(["/a b"]), ErrorClass::InvalidInput),
    ] {
        let failure =
            check(target(address, json!({})), json!({ "paths": paths })).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
    }
    let two = check(target(address, json!({})), json!({ "paths": ["//example.test/", "/b?c=d"] }));
    assert_eq!(two.await.unwrap().outputs.answered, 4);
    let failure = check(SecurityTarget::default(), json!({})).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unsupported);
}

#[tokio::test]
async fn nobody_there_is_unavailable_and_not_clean() {
    // Bound and not listening any more: nobody else is given the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let failure = check(target(address, json!({})), json!({})).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable);
    assert!(failure.message.contains(&address.to_string()), "{failure}");
}
