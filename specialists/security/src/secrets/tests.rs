//! The scanner against material that others wrote, and against cases of our own.

use std::sync::LazyLock;

use serde::Deserialize;

use super::*;

static SCANNER: LazyLock<Scanner> = LazyLock::new(|| Scanner::new().unwrap());

fn rules_in(text: &[u8]) -> Vec<&'static str> {
    SCANNER.scan(text).iter().map(|spotted| spotted.rule).collect()
}

/// Of `secrets/cases.json` among the oracles.
#[derive(Deserialize)]
struct Case {
    rule: String,
    secret: bool,
    b64: String,
}

fn oracle() -> Option<Vec<Case>> {
    let path = deadelus_tests::oracles::oracle("secrets/cases.json")?;
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

/// The aims of the project for this material, of which another half is elsewhere.
const RECALL: f64 = 0.95;
const FALSE_SHARE: f64 = 0.05;

#[test]
fn finds_what_others_know_and_is_silent_where_they_are() {
    let Some(cases) = oracle() else { return };
    let (mut wrong, mut count) = (vec![], [[0_u32; 2]; 2]);
    for Case { rule, secret, b64 } in &cases {
        let found = rules_in(&decode(b64));
        let right = found.is_empty() != *secret;
        count[usize::from(*secret)][usize::from(right)] += 1;
        if !right {
            wrong.push(format!("{rule}, a secret: {secret}, found: {found:?}"));
        }
    }
    let share = |[wrong, right]: [u32; 2]| f64::from(right) / f64::from(wrong + right);
    let (silent, recall) = (share(count[0]), share(count[1]));
    println!("              right  wrong");
    println!("secrets       {:5}  {:5}  {:5.1} % found", count[1][1], count[1][0], recall * 100.0);
    println!("no secrets    {:5}  {:5}  {:5.1} % silent", count[0][1], count[0][0], silent * 100.0);
    println!("{}", wrong.join("\n"));
    assert!(recall >= RECALL && 1.0 - silent <= FALSE_SHARE);
}

/// Lines of `cases.txt`: a rule or `-`, a bar, a text in which `«base62:36»` is random.
fn own_cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("cases.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(" | ").unwrap_or_else(|| panic!("no bar: {line}")))
}

#[test]
fn own_cases_hold_whatever_the_random_parts_are() {
    let mut wrong = vec![];
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        for (rule, template) in own_cases() {
            let text = fill(template, &mut rng);
            let found = rules_in(text.as_bytes());
            let right = if rule == "-" { found.is_empty() } else { found == [rule] };
            if !right {
                wrong.push(format!("seed {seed}: {rule} | {text}\n  found {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn fill(template: &str, rng: &mut fastrand::Rng) -> String {
    let template = template.replace("\\n", "\n");
    let mut parts = template.split("«");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (what, rest) = part.split_once('»').unwrap();
        let (alphabet, count) = what.split_once(':').unwrap();
        let alphabet: &[u8] = match alphabet {
            "hex" => b"0123456789abcdef",
            "digit" => b"0123456789",
            "upper" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
            "lower" => b"abcdefghijklmnopqrstuvwxyz0123456789",
            "letter" => b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "base32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            "base62" => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "base64" => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/",
            other => panic!("no alphabet {other}"),
        };
        let count: usize = count.parse().unwrap();
        text.extend((0..count).map(|_| char::from(alphabet[rng.usize(..alphabet.len())])));
        text.push_str(rest);
    }
    text
}

#[test]
fn every_rule_is_named_once_and_hostile_text_is_no_trouble() {
    let deep = b"key = ".repeat(20_000);
    assert_eq!(SCANNER.scan(&deep), []);
    for text in ["-----BEGIN PRIVATE KEY-----", "curl -H ", "://a:", "\\", "\u{feff}", "=", "key"] {
        let text = text.repeat(500);
        SCANNER.scan(text.as_bytes());
    }
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(SCANNER.scan(&bytes.repeat(100)), []);
    assert_eq!(SCANNER.scan(b""), []);
}

#[test]
fn a_place_is_exactly_the_secret() {
    let token = ["glpat", "-", "x7Kq2mVb9RsT4nWz8YpL"].concat();
    for (before, after) in [("", ""), ("url=", "&a=b"), ("\\n", "\\n"), ("ü ", "\n"), ("'", "'")] {
        let text = format!("{before}{token}{after}");
        let spotted = SCANNER.scan(text.as_bytes());
        assert_eq!(&text[spotted[0].at.clone()], token, "{text}");
    }
}

/// Standard base64, for one test.
fn decode(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut out) = (0_u32, 0, vec![]);
    for byte in text.bytes().take_while(|b| *b != b'=') {
        let value = alphabet.iter().position(|a| *a == byte).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    out
}
