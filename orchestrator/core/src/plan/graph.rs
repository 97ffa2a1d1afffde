//! The order of tasks, read from what needs what.

use std::collections::{BTreeMap, BTreeSet};

/// What needs what; every name that is needed is also a key.
pub(crate) type Needs<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// The names wave by wave: a wave needs only earlier ones.
///
/// # Errors
/// A cycle, in the order of the arrows, its first name repeated at the end.
pub(crate) fn waves<'a>(needs: &Needs<'a>) -> Result<Vec<Vec<&'a str>>, Vec<&'a str>> {
    let mut open: BTreeMap<&str, usize> = needs.iter().map(|(k, n)| (*k, n.len())).collect();
    let mut needed_by: BTreeMap<&str, Vec<&'a str>> = BTreeMap::new();
    for (name, needed) in needs {
        for n in needed {
            needed_by.entry(n).or_default().push(name);
        }
    }
    let mut waves = Vec::new();
    let mut wave: Vec<&str> = open.iter().filter(|(_, n)| **n == 0).map(|(k, _)| *k).collect();
    while !wave.is_empty() {
        let mut next = Vec::new();
        for name in &wave {
            open.remove(name);
            for dependent in needed_by.get(name).into_iter().flatten() {
                if let Some(left) = open.get_mut(dependent) {
                    *left -= 1;
                    if *left == 0 {
                        next.push(*dependent);
                    }
                }
            }
        }
        next.sort_unstable();
        waves.push(std::mem::replace(&mut wave, next));
    }
    match open.first_key_value() {
        None => Ok(waves),
        Some((start, _)) => Err(cycle(needs, &open, start)),
    }
}

/// Everything that `name` stands on, itself not included.
pub(crate) fn ancestors<'a>(needs: &Needs<'a>, name: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&'a str> = needs.get(name).into_iter().flatten().copied().collect();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(needs.get(next).into_iter().flatten());
        }
    }
    found
}

/// Every name that is still open needs another one that is: walking back must close a circle.
fn cycle<'a>(needs: &Needs<'a>, open: &BTreeMap<&'a str, usize>, start: &'a str) -> Vec<&'a str> {
    let mut path = vec![start];
    loop {
        let last = path[path.len() - 1];
        let back = needs.get(last).into_iter().flatten().find(|n| open.contains_key(*n));
        let Some(back) = back else { return path };
        if let Some(at) = path.iter().position(|n| n == back) {
            path.push(back);
            return path.split_off(at);
        }
        path.push(back);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(pairs: &[(&'static str, &[&'static str])]) -> Needs<'static> {
        pairs.iter().map(|(k, n)| (*k, n.iter().copied().collect())).collect()
    }

    #[test]
    fn a_wave_needs_only_earlier_waves() {
        let graph = needs(&[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])]);
        assert_eq!(waves(&graph), Ok(vec![vec!["a"], vec!["b", "c"], vec!["d"]]));
        assert_eq!(ancestors(&graph, "d"), BTreeSet::from(["a", "b", "c"]));
    }

    #[test]
    fn a_cycle_is_named() {
        let graph = needs(&[("a", &[]), ("b", &["a", "d"]), ("c", &["b"]), ("d", &["c"])]);
        assert_eq!(waves(&graph), Err(vec!["b", "d", "c", "b"]));
        assert_eq!(waves(&needs(&[("a", &["a"])])), Err(vec!["a", "a"]));
    }
}
