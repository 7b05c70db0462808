//! The last guard against a secret in a log: what looks like one is masked in the finished line, also where
//! it came in through an error of a library's.
//!
//! Not for: keeping secrets out of logs in the first place (`posthaste_base::Secret` does that).

use std::borrow::Cow;

/// How an API key and a webhook's signing secret begin. Short tails are words (`ph_test`), not secrets.
const PREFIXES: [&str; 2] = ["ph_", "whsec_"];
const SECRET_BYTES_MIN: usize = 20;
const MASK: &str = "***";

/// `line` with API keys, webhook secrets and passwords in addresses replaced by `***`.
pub(crate) fn mask(line: &str) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(line);
    for prefix in PREFIXES {
        replace(&mut masked, prefix, |rest| {
            let length = rest.bytes().take_while(|byte| is_secret_byte(*byte)).count();
            (length >= SECRET_BYTES_MIN).then_some(0..length)
        });
    }
    replace(&mut masked, "://", |rest| {
        let authority = &rest[..rest.find(['/', '?', '#', ' ', '"', '\'', '\n']).unwrap_or(rest.len())];
        let user_info = &authority[..authority.rfind('@')?];
        Some(user_info.find(':')? + 1..user_info.len())
    });
    masked
}

/// Behind each `start`, replaces the range that `secret` finds in the rest of the line.
fn replace(line: &mut Cow<'_, str>, start: &str, secret: impl Fn(&str) -> Option<std::ops::Range<usize>>) {
    let mut from = 0;
    while let Some(found) = line[from..].find(start) {
        from += found + start.len();
        if let Some(range) = secret(&line[from..]) {
            line.to_mut().replace_range(from + range.start..from + range.end, MASK);
            from += range.start + MASK.len();
        }
    }
}

fn is_secret_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_+/=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        for (line, expected) in [
            ("key ph_abcdefghijklmnopqrstuvwxyz0123456789-_abcd, no", "key ph_***, no"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_***"),
            ("at postgres://me:p:s@@db:5432/x?a=b@c failed", "at postgres://me:***@db:5432/x?a=b@c failed"),
            ("\"postgres://me:secret@db\" \"http://a:b@c\"", "\"postgres://me:***@db\" \"http://a:***@c\""),
            ("http://host:80/a@b and graph_short", "http://host:80/a@b and graph_short"),
            ("ph_ ä ://", "ph_ ä ://"),
        ] {
            assert_eq!(mask(line), expected);
        }
        assert!(matches!(mask("nothing here"), Cow::Borrowed(_)));
    }
}
