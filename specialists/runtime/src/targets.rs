//! The systems a specialist is configured for: checked once at the start, then looked up by each
//! task. Holding one is the proof that its configuration can be honoured.

use std::{collections::BTreeMap, sync::Arc};

use deadelus_proto::{ErrorClass, Failure, TargetCard, TargetName};

use crate::Context;

/// All targets of a process, shared by its capabilities.
#[derive(Debug)]
pub struct Targets<T>(Arc<BTreeMap<TargetName, T>>);

/// Which setting cannot be honoured, and what is wrong with it.
pub type Problem = (&'static str, String);

/// Why a target cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("targets.{target}.{setting}: {problem}")]
pub struct InvalidTarget {
    /// Which target.
    pub target: TargetName,
    /// Which of its settings.
    pub setting: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl<T> Targets<T> {
    /// Those that were checked already.
    pub fn new(targets: BTreeMap<TargetName, T>) -> Self {
        Self(Arc::new(targets))
    }

    /// Those of a configuration, each checked.
    ///
    /// # Errors
    /// The first that cannot work.
    pub fn check<C>(
        configured: BTreeMap<TargetName, C>,
        check: impl Fn(C) -> Result<T, Problem>,
    ) -> Result<Self, InvalidTarget> {
        let mut targets = BTreeMap::new();
        for (target, config) in configured {
            match check(config) {
                Ok(checked) => targets.insert(target, checked),
                Err((setting, problem)) => {
                    return Err(InvalidTarget { target, setting, problem });
                }
            };
        }
        Ok(Self::new(targets))
    }

    /// The target of a task.
    ///
    /// # Errors
    /// `invalid_input` when there is none of its name.
    pub fn of(&self, cx: &Context) -> Result<&T, Failure> {
        self.0.get(cx.target()).ok_or_else(|| {
            let text = format!("target {} is not configured here", cx.target());
            Failure::new(ErrorClass::InvalidInput, text)
                .help(format!("add [targets.{}] to this specialist's file", cx.target()))
        })
    }

    /// What plans may know of each.
    pub fn cards(
        &self,
        facts: impl Fn(&T) -> BTreeMap<String, String>,
    ) -> impl Iterator<Item = TargetCard> {
        self.0.iter().map(move |(name, target)| {
            let facts = facts(target);
            TargetCard { name: name.clone(), facts }
        })
    }
}

impl<T> Clone for Targets<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Targets<T> {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positive(number: i64) -> Result<u64, Problem> {
        number.try_into().map_err(|_| ("number", format!("{number} is below 0")))
    }

    fn configured<const N: usize>(targets: [(&str, i64); N]) -> BTreeMap<TargetName, i64> {
        targets.map(|(name, number)| (name.parse().unwrap(), number)).into()
    }

    #[test]
    fn each_is_found_by_its_task_and_another_is_named() {
        let targets = Targets::check(configured([("hall", 1), ("shop", 2)]), positive).unwrap();
        assert_eq!(*targets.of(&Context::detached("shop")).unwrap(), 2);
        let failure = targets.clone().of(&Context::detached("attic")).unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidInput);
        assert!(failure.help.contains("[targets.attic]"), "{failure:?}");
        let cards: Vec<_> = targets.cards(|n| [("n".to_owned(), n.to_string())].into()).collect();
        assert_eq!((cards[0].name.as_str(), &cards[1].facts["n"][..]), ("hall", "2"));
    }

    #[test]
    fn one_that_cannot_work_is_refused_with_its_setting() {
        let refused = Targets::check(configured([("hall", 1), ("shop", -2)]), positive);
        assert_eq!(refused.unwrap_err().to_string(), "targets.shop.number: -2 is below 0");
    }
}
