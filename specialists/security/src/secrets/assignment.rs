//! Where a name is given a value, in whatever language: `NAME=v`, `"name": "v"`, `name => 'v'`,
//! `<name>v</name>`, `var name string = "v"`, `const NAME: &str = "v"`.

use std::ops::Range;

/// A longer identifier is generated and not somebody's name for something.
const NAME_MAX_BYTES: usize = 80;
/// Of words that may stand between the name and its operator: `token string =`, `api key:`.
const WORDS_MAX_BYTES: usize = 24;
/// Quotes and brackets that close a name; more of them is punctuation.
const CLOSERS_MAX: usize = 4;
/// Quotes, brackets and white space before a value; an indented line fits.
const OPENERS_MAX: usize = 16;
/// A type between a name and its value: `Option<&'static str>`.
const TYPE_MAX_BYTES: usize = 32;

/// A name and where its value begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// With the words between it and the operator.
    pub(super) name: Range<usize>,
    /// The first byte of the value.
    pub(super) value: usize,
    /// The quote the value stands in.
    pub(super) quote: Option<u8>,
}

impl Assignment {
    /// The assignment to the name around `hit`; none when nothing is assigned there.
    pub(super) fn around(text: &[u8], hit: &Range<usize>) -> Option<Self> {
        let before = text[..hit.start].iter().rev().take(NAME_MAX_BYTES);
        let start = hit.start - before.take_while(|byte| is_of_name(**byte)).count();
        let mut cursor = Cursor { text, at: hit.end };
        cursor.skip(NAME_MAX_BYTES, is_of_name);
        cursor.skip(WORDS_MAX_BYTES, |byte| is_of_name(byte) || matches!(byte, b' ' | b'\t'));
        let end = cursor.at;
        cursor.skip(CLOSERS_MAX, |b| {
            matches!(b, b'\'' | b'"' | b'`' | b'\\' | b']' | b')' | b' ' | b'\t')
        });
        let closed_by_quote = text[end..cursor.at].iter().any(|byte| b"'\"`".contains(byte));
        let operator = cursor.operator()?;
        let mut quote = None;
        cursor.skip(OPENERS_MAX, |byte| {
            if matches!(byte, b'\'' | b'"' | b'`') {
                quote = Some(byte);
            }
            matches!(byte, b'\'' | b'"' | b'`' | b'\\' | b'=' | b'(' | b'[' | b'{' | b'|')
                || byte.is_ascii_whitespace()
        });
        // Between two arguments, both in quotes; anything else is a list.
        let listed = operator == b',' && !(closed_by_quote && quote.is_some());
        (!listed).then_some(Self { name: start..end, value: cursor.at, quote })
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn skip(&mut self, max: usize, mut belongs: impl FnMut(u8) -> bool) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().take(max).take_while(|byte| belongs(**byte)).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Moves behind the operator and says what its last byte is.
    fn operator(&mut self) -> Option<u8> {
        let first = self.peek()?;
        if !matches!(first, b'=' | b':' | b'>' | b',' | b'?' | b'|') {
            return None;
        }
        let start = self.at;
        self.skip(4, |byte| matches!(byte, b'=' | b':' | b'>' | b'?' | b'|' | b','));
        let operator = self.text[self.at - 1];
        match operator {
            b':' if self.at - start == 1 => Some(self.behind_type().unwrap_or(b':')),
            b'?' | b'|' => None,
            _ => Some(operator),
        }
    }

    /// `: &str =`: moves behind the equals sign if a type stands before it.
    fn behind_type(&mut self) -> Option<u8> {
        let mut ahead = Cursor { text: self.text, at: self.at };
        ahead.skip(TYPE_MAX_BYTES, |byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b' ' | b'&' | b'_' | b'<' | b'>' | b'[' | b']' | b'?' | b'.' | b'\''
                )
        });
        let typed = ahead.at > self.at && ahead.peek() == Some(b'=');
        let spaced = self.text[..ahead.at].last() == Some(&b' ');
        (typed && spaced).then(|| {
            self.at = ahead.at + 1;
            b'='
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_of_many_languages() {
        for (text, name, value) in [
            ("token=v1", "token", "v1"),
            ("export MY_TOKEN='v1'", "MY_TOKEN", "v1'"),
            ("{\"my_token\": \"v1\"}", "my_token", "v1\"}"),
            ("{\\\"token\\\":\\\"v1\\\"}", "token", "v1\\\"}"),
            ("$x['token'] = 'v1';", "token", "v1';"),
            (":token => \"v1\"", "token", "v1\""),
            ("token := `v1`", "token", "v1`"),
            ("TOKEN ?= v1", "TOKEN", "v1"),
            ("var token string = \"v1\"", "token string", "v1\""),
            ("const TOKEN: &str = \"v1\";", "TOKEN", "v1\";"),
            ("let token: string = 'v1'", "token", "v1'"),
            ("<myToken>\n    v1\n</myToken>", "myToken", "v1\n</myToken>"),
            ("put(\"token\", \"v1\")", "token", "v1\")"),
            ("api token: v1", "token", "v1"),
        ] {
            let hit = text.to_lowercase().find("token").unwrap();
            let found = Assignment::around(text.as_bytes(), &(hit..hit + 5)).expect(text);
            assert_eq!((text[found.name].trim(), &text[found.value..]), (name, value), "{text}");
        }
    }

    #[test]
    fn where_nothing_is_assigned() {
        for text in [
            "token",
            "token.first()",
            "(token)",
            "token ? a : b",
            "token || other",
            "",
            "token, other",
            "token), \"x\"",
        ] {
            let hit = 0..text.len().min(5);
            assert_eq!(Assignment::around(text.as_bytes(), &hit), None, "{text}");
        }
    }
}
