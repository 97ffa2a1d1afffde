//! What an answer says about the service: a decision over one answer. The expected headers are
//! those of the OWASP Secure Headers Project, as far as they mean something for the kind of answer.

use hyper::{HeaderMap, header};

use super::answer::Answer;
use crate::{finding::Level, target::HttpTarget};

/// Half a year: whoever comes back less often is asked to trust anew.
const HSTS_MIN_SECONDS: u64 = 15_552_000;

/// Texts that only the inside of a program writes.
const INSIDES: [&str; 10] = [
    "Traceback (most recent call last)",
    "panicked at ",
    "goroutine 1 [",
    "java.lang.",
    "System.NullReferenceException",
    "at Object.<anonymous>",
    "node_modules/",
    "SQLSTATE[",
    "ORA-0",
    "syntax error at or near",
];

/// Something that is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) rule: &'static str,
    pub(super) level: Level,
    /// What tells it from another of its kind: a cookie's name.
    pub(super) subject: String,
    pub(super) message: String,
}

fn problem(rule: &'static str, level: Level, message: impl Into<String>) -> Problem {
    Problem { rule, level, subject: String::new(), message: message.into() }
}

/// Of the answer to an ordinary request that says it comes from `stranger`.
pub(super) fn answer(
    answer: &Answer,
    http: &HttpTarget,
    stranger: &str,
) -> impl Iterator<Item = Problem> {
    let headers = &answer.headers;
    let redirect = http.redirects_to_tls.then(|| tls_redirect(answer)).flatten();
    let pages = is_page(headers).then(|| page(headers)).into_iter().flatten();
    let cookies = cookies(headers, http.behind_tls);
    let transport = http.behind_tls.then(|| strict_transport(headers)).flatten();
    redirect
        .into_iter()
        .chain(any_kind(headers))
        .chain(pages)
        .chain(cookies)
        .chain(transport)
        .chain(cors(headers, stranger))
}

/// Of the answer to a request that nobody could understand.
pub(super) fn nonsense(answer: &Answer) -> impl Iterator<Item = Problem> {
    let failed = answer.status.is_server_error().then(|| {
        let text = format!("nonsense is answered with {}", answer.status);
        problem("malformed-request-fails", Level::Warning, text)
    });
    let body = String::from_utf8_lossy(&answer.body);
    let inside = INSIDES.iter().find(|inside| body.contains(**inside)).map(|inside| {
        let text = format!("an error shows the inside of the program: {inside:?}");
        problem("error-tells-internals", Level::Error, text)
    });
    failed.into_iter().chain(inside)
}

fn tls_redirect(answer: &Answer) -> Option<Problem> {
    let to = value(&answer.headers, "location").unwrap_or_default();
    let redirects = answer.status.is_redirection() && to.starts_with("https://");
    (!redirects).then(|| {
        let text = format!("plain HTTP is answered with {}, not with a redirect", answer.status);
        problem("no-redirect-to-tls", Level::Error, text)
    })
}

fn any_kind(headers: &HeaderMap) -> Vec<Problem> {
    let mut problems = vec![];
    if value(headers, "x-content-type-options").is_none_or(|v| !v.eq_ignore_ascii_case("nosniff")) {
        let text = "without X-Content-Type-Options: nosniff a browser may guess another type";
        problems.push(problem("no-content-type-options", Level::Warning, text));
    }
    for name in ["server", "x-powered-by"] {
        if let Some(told) = value(headers, name).filter(|v| v.bytes().any(|b| b.is_ascii_digit())) {
            let text = format!("{name}: {told} tells a version to whoever looks for an old one");
            let told = problem("version-told", Level::Note, text);
            problems.push(Problem { subject: name.to_owned(), ..told });
        }
    }
    problems
}

fn is_page(headers: &HeaderMap) -> bool {
    value(headers, "content-type").is_some_and(|kind| kind.starts_with("text/html"))
}

/// What only a browser that shows a page looks at.
fn page(headers: &HeaderMap) -> Vec<Problem> {
    let mut problems = vec![];
    let policy = value(headers, "content-security-policy").unwrap_or_default();
    if policy.is_empty() {
        let text = "a page without Content-Security-Policy runs whatever script gets into it";
        problems.push(problem("no-content-security-policy", Level::Warning, text));
    } else if policy.contains("'unsafe-eval'") || policy.contains("script-src *") {
        let text = "the Content-Security-Policy allows scripts from anywhere";
        problems.push(problem("weak-content-security-policy", Level::Warning, text));
    }
    if !policy.contains("frame-ancestors") && value(headers, "x-frame-options").is_none() {
        let text = "a page that others may frame can be clicked without being seen";
        problems.push(problem("may-be-framed", Level::Warning, text));
    }
    if value(headers, "referrer-policy").is_none() {
        let text = "without Referrer-Policy other sites may learn the addresses of pages";
        problems.push(problem("no-referrer-policy", Level::Note, text));
    }
    problems
}

fn cookies(headers: &HeaderMap, behind_tls: bool) -> Vec<Problem> {
    let mut problems = vec![];
    for cookie in headers.get_all(header::SET_COOKIE) {
        let cookie = String::from_utf8_lossy(cookie.as_bytes());
        let mut parts = cookie.split(';').map(str::trim);
        // The name only: the value may be a session.
        let name = parts.next().and_then(|pair| pair.split('=').next()).unwrap_or_default();
        let flags: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
        let missing = |rule, level, what: &str| Problem {
            rule,
            level,
            subject: name.to_owned(),
            message: format!("cookie {name:?} {what}"),
        };
        if !flags.iter().any(|flag| flag == "httponly") {
            let text = "can be read by every script: no HttpOnly";
            problems.push(missing("cookie-without-httponly", Level::Error, text));
        }
        if behind_tls && !flags.iter().any(|flag| flag == "secure") {
            let text = "also travels in the clear: no Secure";
            problems.push(missing("cookie-without-secure", Level::Error, text));
        }
        if !flags.iter().any(|flag| matches!(&flag[..], "samesite=lax" | "samesite=strict")) {
            let text = "is sent along from other sites: no SameSite";
            problems.push(missing("cookie-without-samesite", Level::Warning, text));
        }
    }
    problems
}

fn strict_transport(headers: &HeaderMap) -> Option<Problem> {
    let told = value(headers, "strict-transport-security").unwrap_or_default();
    let told = told.to_ascii_lowercase();
    let age = told.split(';').find_map(|part| part.trim().strip_prefix("max-age="));
    let seconds: u64 = age.and_then(|age| age.trim_matches('"').parse().ok()).unwrap_or(0);
    (seconds < HSTS_MIN_SECONDS).then(|| {
        let text =
            format!("Strict-Transport-Security for {seconds} s, at least {HSTS_MIN_SECONDS}");
        problem("no-strict-transport", Level::Warning, text)
    })
}

fn cors(headers: &HeaderMap, stranger: &str) -> Option<Problem> {
    let allowed = value(headers, "access-control-allow-origin")?;
    let with_credentials = value(headers, "access-control-allow-credentials") == Some("true");
    let anybody = allowed == stranger || allowed == "*" || allowed == "null";
    match (anybody, with_credentials) {
        (true, true) => {
            let text = format!("any site may act for a signed-in user: {allowed}, credentials");
            Some(problem("cors-credentials-for-anybody", Level::Error, text))
        }
        (true, false) if allowed != "*" => {
            let text = format!("the origin of a stranger is allowed: {allowed}");
            Some(problem("cors-reflects-origin", Level::Warning, text))
        }
        (true, false) | (false, _) => None,
    }
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
