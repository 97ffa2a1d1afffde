//! docs/permissions.md is made of the lists that the server gets: it cannot drift.
//!
//! `DEADELUS_WRITE_PAGES=1 tests/run -p deadelus-tests permissions::page` writes it anew.

use std::{env, fmt::Write as _, fs, path::PathBuf};

use deadelus_mesh::permissions::{self, Permissions};
use deadelus_proto::{Role, Subjects, role::Permit};

/// What no list can say, before the lists.
const ABOUT: &str = include_str!("about.md");

#[test]
fn the_page_says_what_the_server_is_told() {
    let wanted = page();
    if env::var_os("DEADELUS_WRITE_PAGES").is_some() {
        fs::write(path(), &wanted).unwrap();
    }
    let found = fs::read_to_string(path()).unwrap_or_default();
    assert!(found == wanted, "docs/permissions.md has drifted: DEADELUS_WRITE_PAGES=1 writes it");
}

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/permissions.md"))
}

fn page() -> String {
    let subjects = Subjects::default();
    let mut page = ABOUT.to_owned();
    for role in [Role::Orchestrator, "db".parse().unwrap(), Role::Operator, Role::Viewer] {
        let title = match role.specialist() {
            Some(_) => {
                "A specialist, here `db`; the others likewise with their own names".to_owned()
            }
            None => format!("The {role}"),
        };
        let Permissions { publish, subscribe, answers } = permissions::of(&role, &subjects);
        let _ = write!(page, "\n## {title}\n\n");
        table(&mut page, "may publish to", &publish);
        page.push('\n');
        table(&mut page, "may listen to", &subscribe);
        if answers {
            page += "\nIt may answer a request that it was sent: once, within ten seconds.\n";
        }
    }
    page
}

/// One row for each purpose, in the order of the lists.
fn table(page: &mut String, what: &str, permits: &[Permit]) {
    let _ = write!(page, "| {what} | to |\n|---|---|\n");
    let mut said = vec![];
    for Permit { purpose, .. } in permits {
        if said.contains(purpose) {
            continue;
        }
        said.push(purpose);
        let same = permits.iter().filter(|permit| permit.purpose == *purpose);
        let all: Vec<String> = same.map(|permit| format!("`{}`", permit.subject)).collect();
        let _ = writeln!(page, "| {} | {purpose} |", all.join(" "));
    }
}
