//! Reading what `cargo test` prints. Stable Rust's harness has no report for machines; what it
//! prints of each test is therefore held against its own sums.

use crate::results::{Outcome, Tests, add};

/// One test program and what it said about itself.
#[derive(Debug, Default)]
struct Program {
    /// `shop src/lib.rs`
    name: String,
    /// As its lines tell: passed, failed, ignored.
    told: [usize; 3],
    /// As its last line sums up.
    summed: Option<[usize; 3]>,
}

/// Every test of the output, by its program and name.
///
/// # Errors
/// In words, when a program ended without its sums, or its lines and sums disagree: then tests are
/// missing from what was read.
pub(crate) fn read(output: &str) -> Result<Tests, String> {
    let mut tests = Tests::new();
    let mut program = Program::default();
    for line in output.lines() {
        if let Some(name) = begins(line) {
            program.close()?;
            program = Program { name, ..Program::default() };
        } else if let Some(sums) = line.strip_prefix("test result: ") {
            program.summed = Some(summed(sums).ok_or_else(|| format!("not understood: {line}"))?);
        } else if let Some((name, outcome)) = test(line) {
            program.told[place(outcome)] += 1;
            add(&mut tests, &format!("{} {name}", program.name), outcome);
        }
    }
    program.close()?;
    Ok(tests)
}

impl Program {
    fn close(&self) -> Result<(), String> {
        let Self { name, told, summed } = self;
        match summed {
            None if name.is_empty() => Ok(()),
            None => Err(format!("{name} ended without a summary")),
            Some(summed) if summed == told => Ok(()),
            Some(summed) => Err(format!(
                "{name}: its lines tell {told:?} passed, failed, ignored; its summary {summed:?}"
            )),
        }
    }
}

fn place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Passed => 0,
        Outcome::Failed => 1,
        Outcome::Skipped => 2,
    }
}

/// `     Running unittests src/lib.rs (target/debug/deps/shop-0a1b)`, `   Doc-tests shop`
fn begins(line: &str) -> Option<String> {
    if !line.starts_with(' ') {
        return None;
    }
    let line = line.trim_start();
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{package} doc"));
    }
    let (source, path) = line.strip_prefix("Running ")?.split_once(" (")?;
    let file = path.strip_suffix(')')?.rsplit('/').next()?;
    let package = file.rsplit_once('-').map_or(file, |(package, _digest)| package);
    Some(format!("{package} {}", source.strip_prefix("unittests ").unwrap_or(source)))
}

/// `test tests::holds ... ok`
fn test(line: &str) -> Option<(&str, Outcome)> {
    let (name, said) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    // A time or a reason may follow.
    match said.split([' ', ',']).next()? {
        "ok" => Some((name, Outcome::Passed)),
        "FAILED" => Some((name, Outcome::Failed)),
        "ignored" => Some((name, Outcome::Skipped)),
        _ => None,
    }
}

/// `ok. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s`
fn summed(sums: &str) -> Option<[usize; 3]> {
    let (_verdict, sums) = sums.split_once(". ")?;
    let of = |what: &str| {
        let part = sums.split("; ").find_map(|part| part.strip_suffix(what))?;
        part.trim().parse().ok()
    };
    Some([of("passed")?, of("failed")?, of("ignored")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
   Compiling shop v0.1.0 (/srv/shop)
     Running unittests src/lib.rs (target/debug/deps/my_shop-0a1b2c)

running 3 tests
test tests::waits ... ignored, needs a network
test tests::breaks ... FAILED
test tests::panics - should panic ... ok

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests my_shop

running 1 test
test src/lib.rs - add (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

    #[test]
    fn tests_are_named_by_their_program() {
        let tests = read(OUTPUT).unwrap();
        let told: Vec<(&str, Outcome)> = tests.iter().map(|(n, o)| (n.as_str(), *o)).collect();
        let expected = [
            ("my_shop doc src/lib.rs - add (line 3)", Outcome::Passed),
            ("my_shop src/lib.rs tests::breaks", Outcome::Failed),
            ("my_shop src/lib.rs tests::panics - should panic", Outcome::Passed),
            ("my_shop src/lib.rs tests::waits", Outcome::Skipped),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_does_not_add_up_is_not_believed() {
        let hidden = OUTPUT.replace("test tests::breaks ... FAILED\n", "");
        assert!(read(&hidden).unwrap_err().contains("[1, 0, 1]"));
        let died = OUTPUT.rsplit_once("test result").unwrap().0;
        assert_eq!(read(died).unwrap_err(), "my_shop doc ended without a summary");
        assert!(read("error: could not compile `shop`\n").unwrap().is_empty());
    }
}
