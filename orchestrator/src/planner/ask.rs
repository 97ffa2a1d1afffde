//! Whom to ask instead: the specialist whose field some words are from. Pure.

use std::collections::BTreeSet;

use deadelus_proto::SpecialistCard;

/// Shorter words say nothing of a field.
const WORD_MIN_CHARS: usize = 3;

/// Words that stand in every summary.
const COMMON: [&str; 12] =
    ["and", "are", "for", "from", "has", "its", "not", "that", "the", "their", "what", "with"];

/// `ask db (DB Admin, DB Architect), which offers inspect, lint, …`, or where to look when no
/// specialist's words are among these.
pub(super) fn whom(words: &str, cards: &[SpecialistCard]) -> String {
    let asked = meaningful(words);
    let is_named = |card: &SpecialistCard| {
        words.split(|c: char| !c.is_alphanumeric()).any(|word| word == card.specialist.as_str())
    };
    let field = |card: &SpecialistCard| {
        let of_capabilities = card.capabilities.iter().map(|c| {
            format!("{} {} {}", c.name.to_string().replace(['.', '_'], " "), c.role, c.summary)
        });
        let own = meaningful(&of_capabilities.collect::<Vec<_>>().join(" "));
        // Its name says more than any word of its field.
        let named = if is_named(card) { asked.len() + 1 } else { 0 };
        own.intersection(&asked).count() + named
    };
    let best = cards.iter().map(|card| (field(card), card)).max_by_key(|(fit, _)| *fit);
    match best {
        Some((fit, card)) if fit > 0 => {
            let roles: BTreeSet<&str> = card.capabilities.iter().map(|c| c.role.as_str()).collect();
            let verbs: Vec<&str> = card.capabilities.iter().map(|c| c.name.verb()).collect();
            format!(
                "ask {} ({}), which offers {}",
                card.specialist,
                roles.into_iter().collect::<Vec<_>>().join(", "),
                verbs.join(", ")
            )
        }
        Some(_) | None => "`deadelus specialists` lists whom to ask".to_owned(),
    }
}

fn meaningful(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    words.filter(|w| w.chars().count() >= WORD_MIN_CHARS && !COMMON.contains(&w.as_str())).collect()
}
