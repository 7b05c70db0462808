//! From the bytes of a file to its text: UTF-8 alone, and what to do about any other.

use crate::hint;
use crate::script::SyntaxError;
use crate::statement::Span;

/// The text of a file. A byte order mark of UTF-8 is kept, so that offsets are those of the file; `parse` passes it by.
pub fn decode(bytes: &[u8]) -> Result<&str, SyntaxError> {
    let at_start = |message: &str, hint: &str| SyntaxError {
        span: Span::new(0, bytes.len().min(2)),
        line: 1,
        column: 1,
        statement: 0,
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(at_start("the file is UTF-16", "save it as UTF-8"));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let before = std::str::from_utf8(&bytes[..at]).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let byte = bytes.get(at).copied().unwrap_or_default();
        // Every second byte of English text in UTF-16 is 0.
        let hint = if bytes.iter().take(200).filter(|byte| **byte == 0).count() > 20 {
            hint::NUL
        } else {
            "it may be Latin-1 or Windows-1252: save it as UTF-8"
        };
        SyntaxError {
            span: Span::new(at, at + 1),
            line: 1 + before.matches('\n').count() as u32,
            column: 1 + line.chars().count() as u32,
            statement: 0,
            message: format!("byte {byte:#04x} is no UTF-8"),
            hint: Some(hint.to_owned()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &str) {
        let found = decode(bytes).map_or_else(|error| error.to_string(), str::to_owned);
        assert_eq!(found, expected);
    }

    #[test]
    fn other_encodings_are_told_by_their_place() {
        check(
            b"select 1;\n-- \xe9t\xe9",
            "line 2, column 4: byte 0xe9 is no UTF-8 (it may be Latin-1 or Windows-1252: save it as UTF-8)",
        );
        check(b"\xff\xfes\0e\0", "line 1, column 1: the file is UTF-16 (save it as UTF-8)");
        check("select 'ü'".as_bytes(), "select 'ü'");
    }
}
