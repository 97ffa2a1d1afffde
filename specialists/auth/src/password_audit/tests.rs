use deadelus_runtime::ErrorClass;
use serde_json::json;

use super::*;
use crate::testing::Desk;

/// RFC 9106's notation with OWASP's measure; the salts are 16 bytes.
const GOOD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";

async fn audit(lines: &[&str], rehash_max: usize) -> (Vec<String>, Outputs, String) {
    let desk = Desk::new();
    desk.write("hashes", &lines.join("\n"));
    let cx = Context::detached("shop");
    let inputs = serde_json::from_value(json!({"hashes": "hashes", "rehash_max": rehash_max}));
    let measured = PasswordAudit(desk.targets()).perform(&cx, inputs.unwrap()).await.unwrap();
    let kept = cx.fetch(&measured.artefacts[0]).await.unwrap();
    let told = format!("{measured:?}{}", String::from_utf8_lossy(&kept));
    let failed = measured.checks.into_iter().filter(|c| !c.pass).map(|c| c.id).collect();
    (failed, measured.outputs, told)
}

#[tokio::test]
async fn each_scheme_is_known_and_judged() {
    let bcrypt =
        |cost: &str| format!("$2b${cost}$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234");
    let cases: [(&str, Strength, &str); 15] = [
        (GOOD, Strength::Strong, "argon2id m=19456 t=2 p=1"),
        (&GOOD.replace("m=19456,t=2", "m=7168,t=5"), Strength::Strong, "argon2id m=7168"),
        (&GOOD.replace("m=19456", "m=19455"), Strength::Rehash, "argon2id m=19455"),
        (&GOOD.replace("t=2", "t=1"), Strength::Rehash, "argon2id"),
        (&GOOD.replace("c29tZXNhbHRz", ""), Strength::Rehash, "short salt"),
        (&GOOD.replace("argon2id", "argon2i"), Strength::Rehash, "argon2i, older"),
        (&bcrypt("12"), Strength::Strong, "bcrypt cost=12"),
        (&bcrypt("08"), Strength::Rehash, "bcrypt cost=8"),
        ("$pbkdf2-sha256$i=600000$c29tZXNhbHRzb21lc2FsdA$aGFzaA", Strength::Strong, "pbkdf2"),
        ("$pbkdf2-sha256$i=1000$c29tZXNhbHRzb21lc2FsdA$aGFzaA", Strength::Rehash, "pbkdf2"),
        ("$scrypt$ln=14,r=8,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaA", Strength::Rehash, "scrypt ln=14"),
        ("$6$salt$aGFzaA", Strength::Rehash, "sha512crypt"),
        ("$1$salt$aGFzaA", Strength::Broken, "md5crypt"),
        ("5f4dcc3b5aa765d61d8327deb882cf99", Strength::Broken, "md5, no salt"),
        ("hunter2", Strength::Broken, "in the clear"),
    ];
    for (line, strength, name) in cases {
        let (failed, outputs, _) = audit(&[line], 0).await;
        assert_eq!(outputs.schemes[0].strength, strength, "{line}");
        assert!(outputs.schemes[0].scheme.contains(name), "{outputs:?}");
        assert_eq!(failed.is_empty(), strength == Strength::Strong, "{line}: {failed:?}");
    }
}

#[tokio::test]
async fn lines_are_told_and_hashes_are_not() {
    let old = GOOD.replace("t=2", "t=1").replace("c29tZX", "b3RoZX");
    let lines = [GOOD, "", "correct horse", &old, "hunter2"];
    let (failed, outputs, told) = audit(&lines, 1).await;
    assert_eq!(failed, ["broken"]);
    assert_eq!(outputs.hashes, 4);
    assert_eq!((outputs.schemes[0].count, &outputs.schemes[0].first_lines[..]), (2, &[3, 5][..]));
    for secret in ["hunter2", "horse", "aGFzaGhh", "c29tZXNh"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert_eq!(audit(&lines, 0).await.0, ["broken", "rehash"]);
}

#[tokio::test]
async fn junk_is_judged_and_never_makes_it_fall_over() {
    let cut = format!("$2b$12$a{}", "é".repeat(26));
    for line in [&cut[..], "$", "$$$$$", "$argon2id$v=19$$$x", "$scrypt$ln=,r$$h", "é"] {
        assert!(!audit(&[line], 0).await.0.is_empty(), "{line}");
    }
}

#[tokio::test]
async fn two_with_one_salt_and_none_at_all_are_failures() {
    assert_eq!(audit(&[GOOD, GOOD], 0).await.0, ["salts_repeated"]);
    assert_eq!(audit(&[""], 0).await.0, ["hashes"]);
    let desk = Desk::new();
    let inputs = serde_json::from_value(json!({"hashes": "../shadow"})).unwrap();
    let audit = PasswordAudit(desk.targets());
    let failure = audit.perform(&Context::detached("shop"), inputs).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Denied);
}
