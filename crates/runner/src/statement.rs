//! The little that a runner must know of a statement: how it begins, and whether it may stand in a transaction.
//!
//! Not for: judging statements; a plan says what it locks and costs.

/// The words of a statement in lower case, without comments, strings and quoted names.
pub(crate) fn words(statement: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut rest = statement;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            _ => 0,
        };
        if skipped > 0 || !(first.is_alphanumeric() || first == '_') {
            if words.last().is_some_and(|word| !word.is_empty()) {
                words.push(String::new());
            }
            rest = &rest[skipped.max(first.len_utf8())..];
            continue;
        }
        if let Some(word) = words.last_mut() {
            word.extend(first.to_lowercase());
        }
        rest = &rest[first.len_utf8()..];
    }
    words.retain(|word| !word.is_empty());
    words
}

pub(crate) fn first_word(statement: &str) -> String {
    words(statement).into_iter().next().unwrap_or_default()
}

/// Whether it begins, ends or divides a transaction, which is the runner's to do.
pub(crate) fn controls_transactions(statement: &str) -> bool {
    let words = words(statement);
    let first = words.first().map(String::as_str).unwrap_or_default();
    let second = words.get(1).map(String::as_str).unwrap_or_default();
    matches!(first, "begin" | "commit" | "rollback" | "abort" | "savepoint" | "release" | "end")
        || (first == "start" && second == "transaction")
        || (first == "prepare" && second == "transaction")
}

/// Whether the server takes it only outside of a transaction.
pub(crate) fn stands_alone(statement: &str) -> bool {
    let words = words(statement);
    let has = |word: &str| words.iter().any(|other| other == word);
    let first = words.first().map(String::as_str).unwrap_or_default();
    match first {
        "vacuum" => true,
        "create" | "drop" | "reindex" => {
            has("concurrently") && has("index") || first == "reindex" && has("concurrently")
        }
        "alter" => has("detach") && has("concurrently"),
        _ => false,
    }
}

/// Whether it blocks neither reads nor writes while it waits for a lock, so that it may wait for long.
pub(crate) fn waits_harmlessly(statement: &str) -> bool {
    let words = words(statement);
    let first = words.first().map(String::as_str).unwrap_or_default();
    match first {
        "vacuum" => !words.iter().take(8).any(|word| word == "full"),
        "analyze" => true,
        _ => stands_alone(statement) && first != "alter",
    }
}

/// Whether doing it again does no harm and leaves the same state, when nobody knows whether it was done.
pub(crate) fn may_repeat(statement: &str) -> bool {
    matches!(
        first_word(statement).as_str(),
        "vacuum" | "analyze" | "reindex" | "cluster" | "refresh" | "checkpoint"
    )
}

/// Enough of a statement for a message.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_names_in_quotes_are_no_words() {
        let text = "-- vacuum\n/* x */ Create  INDEX \"Concurrently\" on t (a) where b = 'it''s' and c_1 > 2";
        assert_eq!(words(text), ["create", "index", "on", "t", "a", "where", "b", "and", "c_1", "2"]);
        assert_eq!(first_word("  -- only a comment"), "");
    }

    #[test]
    fn what_stands_alone_is_known() {
        for (text, alone, harmless) in [
            ("create index concurrently a on t (b)", true, true),
            ("create index a on t (b)", false, false),
            ("drop index concurrently if exists a", true, true),
            ("reindex table concurrently t", true, true),
            ("reindex table t", false, false),
            ("vacuum (analyze) t", true, true),
            ("vacuum (full) t", true, false),
            ("analyze t", false, true),
            ("alter table t detach partition p concurrently", true, false),
            ("alter table t add column concurrently int", false, false),
            ("update t set concurrently = 1", false, false),
        ] {
            assert_eq!((stands_alone(text), waits_harmlessly(text)), (alone, harmless), "{text}");
        }
    }

    #[test]
    fn transactions_are_the_runners() {
        for text in ["BEGIN", " commit;", "start transaction", "rollback", "prepare transaction 'x'", "end"] {
            assert!(controls_transactions(text), "{text}");
        }
        for text in ["prepare a as select 1", "start", "update t set a = 'begin'", ""] {
            assert!(!controls_transactions(text), "{text}");
        }
    }
}
