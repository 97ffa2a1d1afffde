//! Who should have which partition. No IO: every replica that sees the same comes to the same.

use std::collections::BTreeSet;

/// Who has a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Nobody,
    Me,
    Another,
}

/// What a replica changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    Take(u16),
    Release(u16),
}

/// What the replica on seat `mine` changes when these seats are taken and the partitions are held
/// like this, in their order. Partitions go round the seats; a partition changes hands only after
/// its holder has released it.
pub(super) fn moves(mine: u16, live: &BTreeSet<u16>, holders: &[Holder]) -> Vec<Move> {
    let seats: Vec<u16> = live.iter().copied().collect();
    let should_be_mine = |at: usize| seats.get(at % seats.len().max(1)) == Some(&mine);
    let change = |(at, holder): (usize, &Holder)| {
        let partition = u16::try_from(at).ok()?;
        match (holder, should_be_mine(at)) {
            (Holder::Nobody, true) => Some(Move::Take(partition)),
            (Holder::Me, false) => Some(Move::Release(partition)),
            (Holder::Nobody, false) | (Holder::Me, true) | (Holder::Another, _) => None,
        }
    };
    holders.iter().enumerate().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Carries everybody's moves out until nobody has any, and gives each partition's seat.
    fn settle(live: &BTreeSet<u16>, mut held: Vec<Option<u16>>) -> Vec<Option<u16>> {
        for _ in 0..3 {
            for mine in live {
                let holder = |by: &Option<u16>| match by {
                    None => Holder::Nobody,
                    Some(by) if by == mine => Holder::Me,
                    Some(_) => Holder::Another,
                };
                let holders: Vec<Holder> = held.iter().map(holder).collect();
                for change in moves(*mine, live, &holders) {
                    match change {
                        Move::Take(p) => held[usize::from(p)] = Some(*mine),
                        Move::Release(p) => held[usize::from(p)] = None,
                    }
                }
            }
        }
        held
    }

    #[test]
    fn everybody_has_a_fair_share_whoever_comes_and_goes() {
        let mut held = vec![None; 8];
        for live in [vec![0], vec![0, 1], vec![0, 1, 2], vec![1, 2], vec![2, 5, 6, 7], vec![5]] {
            let live: BTreeSet<u16> = live.into_iter().collect();
            // What a replica that is gone held expires.
            held.iter_mut().for_each(|by| *by = by.filter(|by| live.contains(by)));
            held = settle(&live, held);
            let each = live.iter().map(|seat| held.iter().filter(|by| **by == Some(*seat)).count());
            let (least, most) = (each.clone().min().unwrap(), each.max().unwrap());
            assert!(most - least <= 1 && held.iter().all(Option::is_some), "{live:?}: {held:?}");
        }
    }

    #[test]
    fn what_another_holds_is_left_alone() {
        let live = BTreeSet::from([0]);
        assert_eq!(moves(0, &live, &[Holder::Another; 8]), []);
        assert_eq!(moves(0, &live, &[Holder::Me; 8]), []);
    }
}
