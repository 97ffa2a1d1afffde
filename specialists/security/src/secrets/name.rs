//! What the name of a value says about it, word by word.

use std::collections::BTreeSet;

/// What a value is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// A key, a token, a secret.
    Secret,
    /// What a person types.
    Password,
    /// Anything else: an id of a key, its length, the file it is in.
    Other,
}

/// The vocabulary; all words in lower case.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) secret: BTreeSet<String>,
    pub(super) password: BTreeSet<String>,
    pub(super) neutral: BTreeSet<String>,
    pub(super) public: BTreeSet<String>,
}

impl Names {
    /// `clientSecret` is a secret, `client_secret_id` and `public_key` are not.
    pub(super) fn held(&self, name: &[u8]) -> Held {
        let words = words(name);
        if words.iter().any(|word| self.public.contains(word)) || together(&words, "keyvault") {
            return Held::Other;
        }
        let mut telling = words.iter().rev().skip_while(|word| self.says_nothing(word));
        match telling.next() {
            Some(last) if ends_with_one_of(last, &self.password) => Held::Password,
            Some(last) if ends_with_one_of(last, &self.secret) => Held::Secret,
            Some(_) | None => Held::Other,
        }
    }

    fn says_nothing(&self, word: &str) -> bool {
        word.bytes().all(|b| b.is_ascii_digit()) || self.neutral.contains(word)
    }
}

/// `dbpassword` ends with `password`; `turkey` is in the list of what is public.
fn ends_with_one_of(word: &str, ends: &BTreeSet<String>) -> bool {
    ends.iter().any(|end| word.strip_suffix(end.as_str()).is_some())
}

fn together(words: &[String], joined: &str) -> bool {
    words.windows(2).any(|pair| {
        let rest = joined.strip_prefix(pair[0].as_str());
        rest.is_some_and(|rest| rest == pair[1])
    })
}

/// `X-API-keyName2` → x, api, key, name, 2
fn words(name: &[u8]) -> Vec<String> {
    let mut words = vec![];
    let mut word = String::new();
    for (place, &byte) in name.iter().enumerate() {
        let before = place.checked_sub(1).map(|before| name[before]);
        let after = name.get(place + 1).copied();
        if !byte.is_ascii_alphanumeric() || begins(before, byte, after) {
            words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
        }
        if byte.is_ascii_alphanumeric() {
            word.push(byte.to_ascii_lowercase().into());
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// Whether a new word begins here without a separator: `aB`, `ABc` before the `B`, `a1`.
fn begins(before: Option<u8>, byte: u8, after: Option<u8>) -> bool {
    let Some(before) = before else { return false };
    let hump = before.is_ascii_lowercase() && byte.is_ascii_uppercase();
    let after_acronym = before.is_ascii_uppercase()
        && byte.is_ascii_uppercase()
        && after.is_some_and(|after| after.is_ascii_lowercase());
    let number = before.is_ascii_alphabetic() && byte.is_ascii_digit();
    hump || after_acronym || number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_names() {
        for (name, expected) in [
            ("X-API-keyName2", "x api key name 2"),
            ("MantleAPI_version", "mantle api version"),
            ("AVEncVideoMaxKeyframeDistance", "av enc video max keyframe distance"),
            ("DB_PASSWORD", "db password"),
            ("String genericToken", "string generic token"),
            ("", ""),
            ("--", ""),
        ] {
            assert_eq!(words(name.as_bytes()).join(" "), expected);
        }
    }

    #[test]
    fn the_last_word_that_says_anything_decides() {
        let set = |text: &str| text.split(' ').map(str::to_owned).collect();
        let names = Names {
            secret: set("key token secret"),
            password: set("password"),
            neutral: set("value string"),
            public: set("public monkey"),
        };
        for (name, held) in [
            ("clientSecret", Held::Secret),
            ("api_token_value_1", Held::Secret),
            ("apikey", Held::Secret),
            ("dbpassword", Held::Password),
            ("client_secret_id", Held::Other),
            ("publicKey", Held::Other),
            ("monkey", Held::Other),
            ("key_vault_token", Held::Other),
            ("keyboard", Held::Other),
            ("value", Held::Other),
        ] {
            assert_eq!(names.held(name.as_bytes()), held, "{name}");
        }
    }
}
