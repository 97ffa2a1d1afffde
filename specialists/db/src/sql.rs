//! Words and symbols of SQL, without its grammar.
//!
//! Enough to compare two texts, to find clauses, and to quote a name. Whoever needs to know whether
//! a text is *right* asks the database: nothing here ever decides that.

use std::fmt::Write as _;

/// One word or symbol, with the byte it begins at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// As it means: names without their quotes, bare words in lower case.
    pub(crate) text: String,
    pub(crate) start: usize,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or a name that is not quoted.
    Word,
    /// `"name"`, `[name]`, `` `name` ``.
    Quoted,
    /// A string, with its quotes: two of them differ by every character.
    Literal,
    Number,
    /// `$1`, `?`, `:name`.
    Parameter,
    Symbol,
}

impl Token {
    /// Whether it is this keyword, given in lower case.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text == keyword
    }

    /// Whether it is this symbol.
    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// Whether it may name something.
    pub(crate) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }
}

/// The tokens of a text, without comments and white space.
pub(crate) fn tokens(sql: &str) -> Vec<Token> {
    let mut scanner = Scanner { sql, at: 0 };
    std::iter::from_fn(|| scanner.next()).collect()
}

/// The same text for every way of spacing, commenting, quoting and capitalising it.
pub(crate) fn canonical(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    for token in tokens(sql) {
        if !text.is_empty() {
            text.push(' ');
        }
        if token.kind == Kind::Quoted && !is_plain(&token.text.to_ascii_lowercase()) {
            text.push_str(&quote(&token.text));
        } else if token.kind == Kind::Quoted {
            text.push_str(&token.text.to_ascii_lowercase());
        } else {
            text.push_str(&token.text);
        }
    }
    text
}

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Without the semicolon, and without what stands before it.
    pub(crate) text: String,
    /// `3_add_invoice.up.sql:12`, or just the line.
    pub(crate) place: String,
    pub(crate) tokens: Vec<Token>,
}

impl Statement {
    /// Whether it begins with these keywords.
    pub(crate) fn begins(&self, words: &[&str]) -> bool {
        self.tokens.len() >= words.len()
            && words.iter().zip(&self.tokens).all(|(word, token)| token.is(word))
    }

    /// Whether these keywords stand in it one after the other.
    pub(crate) fn has(&self, words: &[&str]) -> bool {
        self.tokens
            .windows(words.len())
            .any(|window| words.iter().zip(window).all(|(word, token)| token.is(word)))
    }
}

/// The statements of a script. The body of a trigger or of a function, from `BEGIN` to `END`, is
/// part of the statement that creates it.
pub(crate) fn statements(sql: &str) -> Vec<Statement> {
    let mut statements = vec![];
    let mut open: Vec<Token> = vec![];
    let mut depth = 0_usize;
    for token in tokens(sql) {
        if token.is_symbol(";") && depth == 0 {
            statements.extend(statement(sql, std::mem::take(&mut open), token.start));
            continue;
        }
        if open.first().is_some_and(|first| first.is("create")) {
            depth += usize::from(token.is("begin") || token.is("case"));
            depth = depth.saturating_sub(usize::from(token.is("end")));
        }
        open.push(token);
    }
    statements.extend(statement(sql, open, sql.len()));
    statements
}

fn statement(sql: &str, tokens: Vec<Token>, end: usize) -> Option<Statement> {
    let start = tokens.first()?.start;
    let text = sql[start..end].trim_end().to_owned();
    Some(Statement { text, place: line_of(sql, start).to_string(), tokens })
}

/// A name as both engines read it, whatever it contains.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names in a row: `"a", "b"`.
pub(crate) fn quote_all(names: &[String]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

/// The first line that begins with a backslash outside of strings and comments: an instruction to
/// psql, and not SQL. Lines count from 1.
pub(crate) fn meta_command(sql: &str) -> Option<(usize, String)> {
    let mut line_start = 0;
    for token in tokens(sql) {
        if token.is_symbol("\\") {
            let before = &sql[..token.start];
            line_start = before.rfind('\n').map_or(0, |newline| newline + 1).max(line_start);
            if sql[line_start..token.start].trim().is_empty() {
                let text = sql[token.start..].lines().next().unwrap_or_default();
                return Some((line_of(sql, token.start), text.trim().to_owned()));
            }
        }
    }
    None
}

/// The line a byte stands on, from 1.
pub(crate) fn line_of(sql: &str, byte: usize) -> usize {
    sql.as_bytes().iter().take(byte).filter(|b| **b == b'\n').count() + 1
}

fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

struct Scanner<'a> {
    sql: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn next(&mut self) -> Option<Token> {
        self.skip_blank();
        let start = self.at;
        let first = self.peek(0)?;
        let (kind, text) = match first {
            '\'' => (Kind::Literal, self.delimited('\'', false)),
            'e' | 'E' if self.peek(1) == Some('\'') => {
                self.at += 1;
                (Kind::Literal, format!("e{}", self.delimited('\'', true)))
            }
            '"' | '`' => (Kind::Quoted, unquote(&self.delimited(first, false), first)),
            '[' if self.bracket_is_name() => (Kind::Quoted, self.bracketed()),
            '$' => self.dollar(),
            '?' => (Kind::Parameter, self.while_(1, |c| c.is_ascii_digit())),
            ':' | '@' if self.peek(1).is_some_and(is_word_start) => {
                (Kind::Parameter, self.while_(1, is_word))
            }
            c if is_word_start(c) => (Kind::Word, self.while_(0, is_word).to_lowercase()),
            c if c.is_ascii_digit() => {
                (Kind::Number, self.while_(0, |c| is_word(c) || c == '.').to_lowercase())
            }
            _ => (Kind::Symbol, self.symbol()),
        };
        Some(Token { kind, text, start })
    }

    fn rest(&self) -> &str {
        &self.sql[self.at..]
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest().chars().nth(ahead)
    }

    fn take(&mut self, bytes: usize) -> String {
        let text = self.rest()[..bytes].to_owned();
        self.at += bytes;
        text
    }

    fn while_(&mut self, skip: usize, matches: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest
            .char_indices()
            .skip(skip)
            .find(|(_, c)| !matches(*c))
            .map_or(rest.len(), |(at, _)| at);
        self.take(end)
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            if self.rest().starts_with("--") {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                self.at += comment_len(self.rest());
            } else {
                return;
            }
        }
    }

    /// From a quote to its end; a doubled quote stands for one.
    fn delimited(&mut self, quote: char, backslash: bool) -> String {
        let mut chars = self.rest().char_indices().skip(1).peekable();
        let mut end = self.rest().len();
        while let Some((at, c)) = chars.next() {
            if backslash && c == '\\' {
                chars.next();
            } else if c == quote {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                } else {
                    end = at + c.len_utf8();
                    break;
                }
            }
        }
        self.take(end)
    }

    /// `[a name]` of SQLite, as against `[1]` of a PostgreSQL array.
    fn bracket_is_name(&self) -> bool {
        let name = self.rest()[1..].split(']').next().unwrap_or_default();
        name.chars().next().is_some_and(is_word_start) && self.rest().contains(']')
    }

    fn bracketed(&mut self) -> String {
        let end = self.rest().find(']').map_or(self.rest().len(), |at| at + 1);
        self.take(end).trim_matches(['[', ']']).to_owned()
    }

    /// `$1`, `$name`, or `$tag$ … $tag$`.
    fn dollar(&mut self) -> (Kind, String) {
        let rest = self.rest();
        let in_tag = |c: char| is_word(c) && c != '$';
        let tag_end = rest[1..].find(|c| !in_tag(c)).map_or(rest.len(), |at| at + 1);
        let is_tag = rest[tag_end..].starts_with('$')
            && !rest[1..tag_end].starts_with(|c: char| c.is_ascii_digit());
        if !is_tag {
            return (Kind::Parameter, self.take(tag_end));
        }
        let tag = &rest[..=tag_end];
        let end = rest[tag.len()..].find(tag).map_or(rest.len(), |at| at + 2 * tag.len());
        (Kind::Literal, self.take(end))
    }

    fn symbol(&mut self) -> String {
        const LONG: [&str; 10] = ["::", "<=", ">=", "<>", "!=", "==", "||", "->", ":=", "=>"];
        let long = LONG.iter().find(|symbol| self.rest().starts_with(**symbol));
        let bytes = long.map_or_else(
            || self.rest().chars().next().map_or(0, char::len_utf8),
            |symbol| symbol.len(),
        );
        self.take(bytes)
    }
}

fn unquote(text: &str, quote: char) -> String {
    let inner = text.strip_prefix(quote).unwrap_or(text);
    let inner = inner.strip_suffix(quote).unwrap_or(inner);
    let mut doubled = String::new();
    // Writing to a String cannot fail.
    let _ = write!(doubled, "{quote}{quote}");
    inner.replace(&doubled, &quote.to_string())
}

/// Bytes of the comment that a text begins with; comments nest in PostgreSQL.
fn comment_len(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_for_every_way_of_writing_it() {
        let plain = canonical("CREATE TABLE t(a int, b text DEFAULT 'It''s')");
        for other in [
            "create table \"t\" ( [a] INT, /* why */ `b` TEXT default 'It''s' )",
            "CREATE TABLE T(\n a int -- first\n, b text DEFAULT 'It''s')",
        ] {
            assert_eq!(canonical(other), plain);
        }
        assert_ne!(canonical("SELECT 'A'"), canonical("SELECT 'a'"));
        assert_ne!(canonical("SELECT \"a b\""), canonical("SELECT a b"));
    }

    #[test]
    fn a_body_belongs_to_its_statement() {
        let trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n UPDATE b SET c = CASE WHEN 1 THEN 2 \
                       END; DELETE FROM d; END";
        let script = format!("-- first\nSELECT 1;\n;{trigger};\nSELECT ';'");
        let found = statements(&script);
        let texts: Vec<_> = found.iter().map(|s| (s.text.as_str(), s.place.as_str())).collect();
        assert_eq!(texts, [("SELECT 1", "2"), (trigger, "3"), ("SELECT ';'", "5")]);
        assert!(found[0].begins(&["select"]) && !found[0].has(&["select", "from"]));
    }

    #[test]
    fn finds_what_only_psql_understands() {
        assert_eq!(meta_command("SELECT 1;\n\\c shop;\n"), Some((2, "\\c shop;".to_owned())));
        for sql in ["SELECT '\n\\c'", "-- \\c\nSELECT 1", "SELECT E'\\n'", "SELECT $$\n\\c\n$$"] {
            assert_eq!(meta_command(sql), None, "{sql}");
        }
    }

    #[test]
    fn never_panics_on_what_ends_too_early() {
        for sql in ["'", "\"", "[", "$", "$a$", "/*", "e'\\", "--", "ä'ö", "[é", "$1$", "a.b::"]
        {
            let _ = canonical(sql);
        }
    }
}
