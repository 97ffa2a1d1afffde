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

/// What stands on what, however far below: a bit for every pair of names.
pub(crate) struct Ground<'a> {
    places: BTreeMap<&'a str, usize>,
    below: Vec<Vec<u64>>,
}

impl<'a> Ground<'a> {
    /// Of names in an order in which each comes after those it needs.
    pub(crate) fn of(needs: &Needs<'a>, order: impl Iterator<Item = &'a str>) -> Self {
        let places: BTreeMap<&str, usize> = order.enumerate().map(|(n, name)| (name, n)).collect();
        let mut below = vec![vec![0_u64; places.len().div_ceil(64)]; places.len()];
        let mut in_order: Vec<_> = places.iter().map(|(name, n)| (*n, *name)).collect();
        in_order.sort_unstable();
        for (n, name) in in_order {
            let (before, from_here) = below.split_at_mut(n);
            for need in needs.get(name).into_iter().flatten() {
                let Some(place) = places.get(need).filter(|place| **place < n) else { continue };
                for (mine, theirs) in from_here[0].iter_mut().zip(&before[*place]) {
                    *mine |= theirs;
                }
                from_here[0][place / 64] |= 1 << (place % 64);
            }
        }
        Self { places, below }
    }

    /// Whether `name` needs `other`, or something that needs it.
    pub(crate) fn stands_on(&self, name: &str, other: &str) -> bool {
        let places = self.places.get(name).zip(self.places.get(other));
        places.is_some_and(|(name, other)| self.below[*name][other / 64] >> (other % 64) & 1 == 1)
    }
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
        let ground = Ground::of(&graph, ["a", "b", "c", "d"].into_iter());
        for (name, below) in [("a", ""), ("b", "a"), ("c", "a"), ("d", "abc")] {
            for other in ["a", "b", "c", "d", "e"] {
                assert_eq!(ground.stands_on(name, other), below.contains(other), "{name} {other}");
            }
        }
    }

    #[test]
    fn a_cycle_is_named() {
        let graph = needs(&[("a", &[]), ("b", &["a", "d"]), ("c", &["b"]), ("d", &["c"])]);
        assert_eq!(waves(&graph), Err(vec!["b", "d", "c", "b"]));
        assert_eq!(waves(&needs(&[("a", &["a"])])), Err(vec!["a", "a"]));
    }
}
