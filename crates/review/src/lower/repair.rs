//! Valid statements that squawk refuses: written in another way of the same length, so that places stay right.
//!
//! Each is to be looked at again when the parser is renewed. Not for: invalid statements.

use super::Misread;
use crate::lexeme::{Lexeme, LexemeKind, lexemes};

/// psql fills in its variables before the server sees them: `:name`, `:'name'`.
pub(super) fn is_of_psql(message: &str) -> bool {
    message.starts_with("Invalid parameter type")
}

/// The statement in other words, when one is known.
pub(super) fn repaired(text: &str, misread: &[Misread]) -> Option<String> {
    let words = lexemes(text);
    set_names(text, &words)
        .or_else(|| exclusion(text, &words, misread))
        .or_else(|| storage(text, &words))
        .or_else(|| variables(text, &words))
}

/// ADD COLUMN ... STORAGE and COMPRESSION are blanked: they change nothing that is locked, read or written.
fn storage(text: &str, words: &[Lexeme]) -> Option<String> {
    let is_alter = words.first()?.is("alter") && words.iter().any(|word| word.is("add"));
    let mut repaired = text.to_owned();
    for part in words.windows(3).filter(|_| is_alter) {
        let is_option = part[1].is("storage") || part[1].is("compression");
        if is_option && !part[0].is("set") && part[2].kind == LexemeKind::Word {
            let (start, end) = (part[1].start, part[2].end());
            repaired.replace_range(start..end, &" ".repeat(end - start));
        }
    }
    (repaired != text).then_some(repaired)
}

/// psql's `:'name'` and `:"name"`: without the colon they are a string and a name.
fn variables(text: &str, words: &[Lexeme]) -> Option<String> {
    let mut repaired = text.to_owned();
    for pair in words.windows(2) {
        let is_quoted = matches!(pair[1].kind, LexemeKind::String | LexemeKind::QuotedName);
        if pair[0].text == ":" && is_quoted && pair[0].end() == pair[1].start {
            repaired.replace_range(pair[0].start..pair[0].end(), " ");
        }
    }
    (repaired != text).then_some(repaired)
}

/// SET NAMES 'UTF8' is a setting without a sign: the string becomes the value of one.
fn set_names(text: &str, words: &[Lexeme]) -> Option<String> {
    let names = words.iter().take(3).position(|word| word.is("names"))?;
    let [value] = &words[names + 1..] else { return None };
    let is_set = words.first()?.is("set") && value.kind == LexemeKind::String;
    // The blank before the value is where the sign goes.
    let gap = words[names].end();
    (is_set && gap < value.start).then(|| format!("{}={}", &text[..gap], &text[gap + 1..]))
}

/// Operator classes and orders in EXCLUDE (a text_ops DESC WITH =) are blanked: they are lost.
fn exclusion(text: &str, words: &[Lexeme], misread: &[Misread]) -> Option<String> {
    let is_about = words.iter().any(|word| word.is("exclude"));
    let is_found = misread.iter().any(|error| error.message == "expected WITH_KW");
    if !is_about || !is_found {
        return None;
    }
    let mut repaired = text.to_owned();
    let after = words.iter().position(|word| word.is("exclude"))?;
    let mut depth = 0_usize;
    // Within the outer parentheses an element ends in WITH; what stands between its expression and that goes.
    let mut extra: Option<usize> = None;
    let mut parts = 0;
    for (index, word) in words.iter().enumerate().skip(after) {
        match word.text {
            "(" => depth += 1,
            ")" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
            }
            "," if depth == 1 => (extra, parts) = (None, 0),
            _ if depth == 1 && word.is("with") => {
                if let Some(start) = extra.take() {
                    repaired.replace_range(
                        start..words[index - 1].end(),
                        &" ".repeat(words[index - 1].end() - start),
                    );
                }
                parts = usize::MAX / 2;
            }
            _ if depth == 1 && word.is("collate") => parts = 0,
            _ if depth == 1 && matches!(word.kind, LexemeKind::Word | LexemeKind::QuotedName) => {
                parts += 1;
                // The first name is the column, the function or the collation.
                if parts == 2 && extra.is_none() {
                    extra = Some(word.start);
                }
            }
            _ => {}
        }
    }
    (repaired != text).then_some(repaired)
}
