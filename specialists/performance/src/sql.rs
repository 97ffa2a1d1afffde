//! The little that must be known of a statement's text. It is compared and classified, never
//! parsed: whoever needs its meaning asks the database (`db.explain`).

/// The text with what differs between two spellings of one statement taken out: white space,
/// letter case, and every literal and parameter, which `pg_stat_statements` numbers anew.
pub(crate) fn canonical(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim().trim_end_matches(';').chars().peekable();
    while let Some(c) = rest.next() {
        let in_word = out.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        match c {
            c if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            '\'' => {
                while rest.next_if(|c| *c != '\'').is_some() {}
                rest.next();
                out.push('?');
            }
            c if c == '$' || (c.is_ascii_digit() && !in_word) => {
                while rest.next_if(|c| c.is_ascii_digit() || *c == '.').is_some() {}
                out.push('?');
            }
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

/// Whether it changes rows. `WITH … INSERT` begins with `WITH` and does.
pub(crate) fn writes(text: &str) -> bool {
    const VERBS: [&str; 5] = ["insert", "update", "delete", "merge", "replace"];
    let mut words = words(text);
    match words.next().as_deref() {
        Some("with") => words.any(|word| VERBS[..4].contains(&word.as_str())),
        Some(first) => VERBS.contains(&first),
        None => false,
    }
}

/// Whether it only begins or ends a transaction, or sets something: no work with rows.
pub(crate) fn is_control(text: &str) -> bool {
    const VERBS: [&str; 9] =
        ["begin", "start", "commit", "end", "rollback", "savepoint", "release", "set", "discard"];
    words(text).next().is_some_and(|first| VERBS.contains(&first.as_str()))
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_one_statement_are_one() {
        let same = [
            ("SELECT id FROM t1 WHERE a = $1", "select id\n  from t1 where a = $2;"),
            ("VALUES (CAST(1 AS BIGINT), 'it', $1)", "VALUES (CAST($2 AS BIGINT), $3, $1)"),
            ("LIMIT 10.5", "LIMIT $1"),
        ];
        for (left, right) in same {
            assert_eq!(canonical(left), canonical(right));
        }
        assert_ne!(canonical("SELECT a FROM t1"), canonical("SELECT a FROM t2"));
        assert_eq!(canonical("unclosed 'text"), "unclosed ?");
    }

    #[test]
    fn what_writes_and_what_only_controls() {
        for text in ["INSERT INTO t VALUES (1)", "with x as (select 1) update t set a = 1"] {
            assert!(writes(text), "{text}");
        }
        for text in ["SELECT updated FROM t", "WITH x AS (SELECT 1) SELECT * FROM x", ""] {
            assert!(!writes(text), "{text}");
        }
        assert!(!writes("SELECT id FROM t WHERE id = $1 FOR UPDATE"));
        assert!(is_control("BEGIN IMMEDIATE") && is_control("commit"));
        assert!(!is_control("SELECT begin FROM t"));
    }
}
