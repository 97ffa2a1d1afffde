//! Reading and writing tables of servers. Pure.
//!
//! A server is named after its revision and its number among the replicas: `v2-0`. That is how a
//! table says which revisions it serves, whichever proxy holds it.

use std::collections::BTreeSet;

use deadelus_proxy::{Routes, Server};

use crate::revision_file::fingerprint as sha256;

/// A server that takes part, when nothing else is said of it.
pub(crate) const FULL_WEIGHT: u16 = 100;

/// `v2-0`
pub(crate) fn server_name(revision: &str, replica: usize) -> String {
    format!("{revision}-{replica}")
}

/// The revision a server is of; none when somebody else named it.
pub(crate) fn revision_of(name: &str) -> Option<&str> {
    let (revision, replica) = name.rsplit_once('-')?;
    replica.parse::<u16>().is_ok().then_some(revision)
}

/// The same in the one order that tables are compared in.
pub(crate) fn sorted(mut routes: Routes) -> Routes {
    routes.servers.sort_by(|a, b| a.name.cmp(&b.name));
    routes
}

/// SHA-256 of the table, as 64 hexadecimal digits; the same whatever the order.
pub(crate) fn fingerprint(routes: &Routes) -> String {
    let lines = sorted(routes.clone()).servers.into_iter();
    let text: String = lines.map(|s| format!("{} {} {}\n", s.name, s.address, s.weight)).collect();
    sha256(&text)
}

/// The revisions that get requests.
pub(crate) fn serving(routes: &Routes) -> BTreeSet<&str> {
    let with_weight = routes.servers.iter().filter(|s| s.weight > 0);
    with_weight.map(|s| revision_of(&s.name).unwrap_or(&s.name)).collect()
}

/// The servers of a revision.
pub(crate) fn of_revision<'a>(
    routes: &'a Routes,
    revision: &'a str,
) -> impl Iterator<Item = &'a Server> {
    routes.servers.iter().filter(move |s| revision_of(&s.name) == Some(revision))
}

/// The table `to`, with whoever else is in `now` still there and getting nothing new.
pub(crate) fn draining_into(to: &Routes, now: &Routes) -> Routes {
    let leaves = |s: &&Server| to.servers.iter().all(|other| other.name != s.name);
    let leaving = now.servers.iter().filter(leaves).map(|s| Server { weight: 0, ..s.clone() });
    sorted(Routes { servers: to.servers.iter().cloned().chain(leaving).collect() })
}

/// Only the servers that get requests.
pub(crate) fn without_idle(routes: &Routes) -> Routes {
    Routes { servers: routes.servers.iter().filter(|s| s.weight > 0).cloned().collect() }
}

#[cfg(test)]
pub(crate) fn routes(text: &str) -> Routes {
    let server = |(port, word): (u16, &str)| {
        let (name, weight) = word.split_once('=').unwrap();
        let address = ([127, 0, 0, 1], 9_000 + port).into();
        Server { name: name.to_owned(), address, weight: weight.parse().unwrap() }
    };
    Routes { servers: (0..).zip(text.split_whitespace()).map(server).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_it_serves_and_its_order_is_no_difference() {
        let table = routes("v1-0=0 v2-0=100 v2-1=100");
        assert_eq!(serving(&table), BTreeSet::from(["v2"]));
        assert_eq!(of_revision(&table, "v1").count(), 1);
        assert_eq!(serving(&routes("legacy=1")), BTreeSet::from(["legacy"]));
        let mut turned = table.clone();
        turned.servers.reverse();
        assert_eq!(fingerprint(&turned), fingerprint(&table));
        assert_ne!(fingerprint(&routes("v1-0=1 v2-0=100 v2-1=100")), fingerprint(&table));
    }

    #[test]
    fn who_leaves_a_table_drains_first() {
        let (to, now) = (routes("v1-0=100"), routes("v1-0=0 v2-0=100"));
        let between = draining_into(&to, &now);
        let weights: Vec<_> = between.servers.iter().map(|s| (s.name.as_str(), s.weight)).collect();
        assert_eq!(weights, [("v1-0", 100), ("v2-0", 0)]);
        assert_eq!(without_idle(&between), to);
    }

    #[test]
    fn a_revision_may_have_a_hyphen_in_its_name() {
        assert_eq!(revision_of(&server_name("2024-05-rc", 3)), Some("2024-05-rc"));
        assert_eq!(revision_of("legacy"), None);
        assert_eq!(revision_of("a-b"), None);
    }
}
