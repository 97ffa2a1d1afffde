//! Reading `JUnit` reports. No two runners write them alike, so what is not needed is not asked
//! for: every `testcase`, wherever it stands, is a test.

use crate::results::{Outcome, Tests, add};

/// Every test of a report.
///
/// # Errors
/// In words, when it is no XML or holds no suite.
pub(crate) fn read(xml: &str) -> Result<Tests, String> {
    let document = roxmltree::Document::parse(xml).map_err(|e| format!("no XML: {e}"))?;
    let root = document.root_element();
    if !matches!(root.tag_name().name(), "testsuites" | "testsuite") {
        return Err(format!("<{}> is no JUnit report", root.tag_name().name()));
    }
    let mut tests = Tests::new();
    for case in document.descendants().filter(|node| node.has_tag_name("testcase")) {
        let name = case.attribute("name").unwrap_or("(no name)");
        let id = match case.attribute("classname") {
            Some(class) if !class.is_empty() => format!("{class}::{name}"),
            Some(_) | None => name.to_owned(),
        };
        add(&mut tests, &id, outcome(case));
    }
    Ok(tests)
}

/// A test that only passed when it was tried again has passed: `flakyFailure` is no failure.
fn outcome(case: roxmltree::Node<'_, '_>) -> Outcome {
    let has = |name: &str| case.children().any(|child| child.has_tag_name(name));
    if has("failure") || has("error") {
        Outcome::Failed
    } else if has("skipped") {
        Outcome::Skipped
    } else {
        Outcome::Passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_counts_wherever_it_stands() {
        let tests = read(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <testsuites tests="5"><testsuite name="outer">
              <testcase classname="a" name="holds"/>
              <testsuite name="inner">
                <testcase classname="a" name="breaks"><failure message="1 != 2"/></testcase>
                <testcase name="errs"><error/></testcase>
                <testcase name="waits"><skipped/></testcase>
                <testcase name="waits"><flakyFailure/></testcase>
              </testsuite>
            </testsuite></testsuites>"#,
        )
        .unwrap();
        let told: Vec<(&str, Outcome)> = tests.iter().map(|(n, o)| (n.as_str(), *o)).collect();
        let expected = [
            ("a::breaks", Outcome::Failed),
            ("a::holds", Outcome::Passed),
            ("errs", Outcome::Failed),
            ("waits", Outcome::Skipped),
            ("waits #2", Outcome::Passed),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for bad in ["", "<testsuite>", "<html/>", "<!DOCTYPE a [<!ENTITY b \"c\">]><testsuite/>"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
