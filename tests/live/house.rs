//! Rules of the house that no compiler checks. Each is a pure reading of one file's text.

use std::{fs, path::Path, process::Command};

/// Long files are where decision and IO met; split at that seam, not in the middle.
const FILE_MAX_LINES: usize = 600;

/// Parts of a name that make a constant a bound: it then says where the number comes from.
const BOUND_WORDS: [&str; 18] = [
    "MAX", "MIN", "LIMIT", "CAPACITY", "TIMEOUT", "EVERY", "WITHIN", "INTERVAL", "PAUSE", "WAIT",
    "BYTES", "CHARS", "LINES", "MS", "SECONDS", "EXPIRES", "BACKOFF", "RETRIES",
];

#[test]
fn the_rules_hold_in_every_tracked_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut broken = vec![];
    for file in tracked(&root) {
        // Deleted and not yet committed.
        let Ok(source) = fs::read_to_string(root.join(&file)) else { continue };
        broken.extend(
            problems(&source).into_iter().map(|(line, what)| format!("{file}:{line}: {what}")),
        );
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// The Rust files of the repository; none, and a word about it, where there is no repository.
fn tracked(root: &Path) -> Vec<String> {
    let listed = Command::new("git").arg("-C").arg(root).args(["ls-files", "*.rs"]).output();
    let files: Vec<String> = match listed {
        Ok(output) if output.status.success() => {
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
        }
        Ok(_) | Err(_) => vec![],
    };
    if files.is_empty() {
        eprintln!("SKIPPED: the rules of the house need git and a checkout to know the files");
    }
    files
}

/// `(line, what is wrong there)`
fn problems(source: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = source.lines().collect();
    let mut problems = vec![];
    if lines.len() > FILE_MAX_LINES {
        let what = format!("{} lines, at most {FILE_MAX_LINES}: split it", lines.len());
        problems.push((lines.len(), what));
    }
    for (index, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        if code.starts_with("#[allow(") || code.starts_with("#![allow(") {
            let what = "allow silences for ever: expect, with a reason, says when it is over";
            problems.push((index + 1, what.to_owned()));
        }
        if let Some(name) = bound(code)
            && !documented(&lines[..index])
        {
            problems.push((index + 1, format!("{name} is a bound: say why this much")));
        }
    }
    problems
}

/// The name of the bound that this line declares: what it bounds, and one of [`BOUND_WORDS`].
fn bound(code: &str) -> Option<&str> {
    let declared = code
        .strip_prefix("pub ")
        .or_else(|| code.strip_prefix("pub(crate) "))
        .or_else(|| code.strip_prefix("pub(super) "))
        .unwrap_or(code)
        .strip_prefix("const ")?;
    let (name, _) = declared.split_once(':')?;
    let is_bound = name.contains('_') && name.split('_').any(|word| BOUND_WORDS.contains(&word));
    is_bound.then_some(name)
}

/// Whether a comment stands over a declaration, or over the group that it belongs to: attributes
/// and other constants may be between, an empty line may not.
fn documented(before: &[&str]) -> bool {
    let between = |line: &&str| line.starts_with("#[") || line.contains("const ");
    let mut above = before.iter().rev().map(|line| line.trim_start());
    above
        .find(|line| line.starts_with("//") || !between(line))
        .is_some_and(|line| line.starts_with("//"))
}

#[test]
fn what_breaks_the_rules() {
    let cases: [(&str, &[usize]); 9] = [
        ("/// Why.\nconst BODY_MAX_BYTES: usize = 9;", &[]),
        ("/// Why.\n#[cfg(unix)]\npub(crate) const A_MS: u64 = 9;", &[]),
        ("const LINES: &[u8] = &[];\n// const OLD_MAX: u8 = 1;", &[]),
        ("/// Why both.\nconst A_MAX: u8 = 1;\nconst B_MAX: u8 = 2;", &[]),
        ("/// Why.\nconst A_MAX: u8 = 1;\n\nconst B_MAX: u8 = 2;", &[4]),
        ("    pub const PULL_EXPIRES: Duration = FIVE;", &[1]),
        ("fn f() {}\n#[allow(dead_code)]\nfn g() {}", &[2]),
        (&"\n".repeat(FILE_MAX_LINES), &[]),
        (&"\n".repeat(FILE_MAX_LINES + 1), &[FILE_MAX_LINES + 1]),
    ];
    for (source, expected) in cases {
        let lines: Vec<_> = problems(source).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, expected, "{source}");
    }
}
