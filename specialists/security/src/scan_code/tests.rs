use std::fs;

use serde_json::json;

use super::*;
use crate::{SecurityTarget, testing::targets};

/// Cases by file: a line of `-` before what must be silent, `+ rule` before what must be found.
const CASES: [(&str, &str); 8] = [
    ("a.rs", include_str!("cases/rust.txt")),
    ("a.py", include_str!("cases/python.txt")),
    ("a.ts", include_str!("cases/javascript.txt")),
    ("a.go", include_str!("cases/go.txt")),
    ("a.java", include_str!("cases/java.txt")),
    ("a.php", include_str!("cases/php.txt")),
    ("a.rb", include_str!("cases/ruby.txt")),
    ("a.sh", include_str!("cases/shell.txt")),
];

async fn scan(files: &[(&str, &[u8])]) -> Measured<Outputs> {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        fs::write(folder.path().join(path), text).unwrap();
    }
    let roots = [("source".to_owned(), folder.path().to_owned())].into();
    let target = SecurityTarget { roots, ..SecurityTarget::default() };
    let inputs = serde_json::from_value(json!({ "fail_on": "warning" })).unwrap();
    ScanCode::new(targets(target)).perform(&Context::detached("shop"), inputs).await.unwrap()
}

fn failed(measured: &Measured<Outputs>) -> Vec<&str> {
    measured.checks.iter().filter(|c| !c.pass).map(|c| &c.id[..]).collect()
}

#[tokio::test]
async fn each_rule_finds_what_it_is_for_and_nothing_beside_it() {
    for (path, cases) in CASES {
        let mut seen = 0;
        for case in cases.split("\n=== ").skip(1) {
            let (wanted, code) = case.split_once('\n').unwrap();
            let measured = scan(&[(path, code.as_bytes())]).await;
            let found = &measured.outputs.found.findings;
            let found: Vec<&str> = found.iter().map(|finding| &finding.rule[..]).collect();
            let wanted: Vec<&str> = if wanted == "silent" { vec![] } else { vec![wanted] };
            assert_eq!(found, wanted, "{path}:\n{code}");
            seen += 1;
        }
        assert!(seen >= 3, "{path}: {seen} cases");
    }
}

#[tokio::test]
async fn what_is_not_covered_or_not_read_is_told() {
    let bad: &[u8] = b"q = \"SELECT * FROM t WHERE id = \" + id\n";
    let measured = scan(&[("a.py", bad), ("b.swift", b"x"), ("c.md", b"x")]).await;
    assert_eq!(failed(&measured), ["no_new_weakness"]);
    let Outputs { found, languages, not_covered, .. } = &measured.outputs;
    assert_eq!(found.findings[0].in_short(), "a.py:1:5: sql-built-of-strings");
    assert_eq!(languages, &[("python".to_owned(), 1)].into());
    assert_eq!(not_covered, &[("swift".to_owned(), 1)].into());
    let measured = scan(&[("b.swift", b"x")]).await;
    assert_eq!(failed(&measured), ["something_read"]);
    let measured = scan(&[("a.py", b"\xff"), ("b.py", b"x = 1\n")]).await;
    assert_eq!(failed(&measured), ["every_file_read"]);
}

#[tokio::test]
async fn a_find_keeps_its_fingerprint_when_lines_move() {
    let code = "requests.get(url, verify=False)\n";
    let one = scan(&[("a.py", code.as_bytes())]).await;
    let moved = scan(&[("a.py", format!("import requests\n\n{code}").as_bytes())]).await;
    let first = |measured: &Measured<Outputs>| measured.outputs.found.findings[0].clone();
    assert_eq!(first(&one).fingerprint, first(&moved).fingerprint);
    assert_eq!((first(&one).line, first(&moved).line), (1, 3));
}
