//! README.md tells the truth: what it names is there.

use std::{fs, path::Path, process::Command};

use deadelus_tests::programs::program;

#[test]
fn every_command_it_names_is_one() {
    let help = Command::new(program("deadelus")).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let named = commands(&readme());
    assert!(named.len() > 10, "the table of commands is gone: {named:?}");
    let missing: Vec<&String> =
        named.iter().filter(|name| !help.contains(&format!("\n  {name} "))).collect();
    assert!(missing.is_empty(), "README names {missing:?}, which `deadelus --help` does not");
}

#[test]
fn every_capability_it_names_is_announced_and_the_other_way_round() {
    let readme = readme();
    for specialist in
        ["db", "performance", "deployment", "security", "api", "testing", "payments", "auth"]
    {
        let card = Command::new(program(&format!("deadelus-{specialist}")))
            .arg("--print-card")
            .output()
            .unwrap();
        let card: serde_json::Value = serde_json::from_slice(&card.stdout).unwrap();
        let verbs: Vec<String> = card["capabilities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["name"].as_str().unwrap().replace(&format!("{specialist}."), ""))
            .collect();
        let listed = in_brackets_after(&readme, &format!("**{specialist}**"));
        let mut listed: Vec<&str> =
            listed.split([',', ' ', '\n']).filter(|w| !w.is_empty()).collect();
        listed.sort_unstable();
        assert_eq!(listed, verbs, "of {specialist}");
    }
}

#[test]
fn every_file_it_links_or_runs_is_there() {
    let root = root();
    let readme = readme();
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let scripts = ["deploy/quickstart", "tests/run"];
    for path in links.filter(|l| !l.starts_with("http")).chain(scripts) {
        assert!(readme.contains(path) && root.join(path).exists(), "{path}");
    }
}

#[test]
fn every_route_it_asks_the_gateway_for_is_in_its_document() {
    let document = fs::read_to_string(root().join("orchestrator/gateway/openapi.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let readme = readme();
    let asked: Vec<String> = readme
        .split("$GATEWAY")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next())
        .map(|path| path.replace("$ID", "{workflow}").replace("gates/plan", "gates/{gate}"))
        .collect();
    assert!(asked.len() >= 5, "README's examples are gone: {asked:?}");
    for path in asked {
        assert!(document["paths"].get(&path).is_some(), "{path} is not in openapi.json");
    }
}

/// What stands in code marks and begins with `deadelus`, or follows such in the same cell.
fn commands(readme: &str) -> Vec<String> {
    let table = readme.lines().filter(|line| line.starts_with("| `deadelus"));
    let cells = table.filter_map(|line| line.split('|').nth(1));
    let code = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let words = code.map(|code| code.trim_start_matches("deadelus "));
    words.filter_map(|code| code.split(' ').next()).map(str::to_owned).collect()
}

fn in_brackets_after(text: &str, mark: &str) -> String {
    let after = text.split(mark).nth(1).unwrap_or_else(|| panic!("README has no {mark}"));
    let inside = after.split('(').nth(1).and_then(|rest| rest.split(')').next());
    inside.unwrap_or_default().to_owned()
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
