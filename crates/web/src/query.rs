//! Query parameters, read strictly: one that is not known is an error that names the nearest one that is,
//! because a misspelt filter that does nothing is worse than a refusal.
//!
//! Not for: bodies, nor for what a value means.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::str::{self, FromStr};

use posthaste_base::{Code, Error, Result};

/// How alike two names must be for one to be suggested for the other.
const ALIKE: f64 = 0.6;

/// The parameters of one request.
#[derive(Debug)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Reads what stands behind the `?`. Empty parts (`a=1&&b=2`) are passed over, as everywhere.
    pub fn parse(raw: Option<&'a str>, known: &[&str]) -> Result<Self> {
        let mut pairs = Vec::new();
        for part in raw.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(name).ok_or_else(|| not_utf8(name))?;
            if !known.contains(&name.as_ref()) {
                return Err(unknown(&name, known));
            }
            let value = decode(value).ok_or_else(|| not_utf8(&name))?;
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// A parameter's value. Given twice, it is refused: which one was meant?
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Error::new(Code::InvalidParameter, format!("`{name}` is given more than once"))
                .field(name)
                .expected("one value"));
        }
        Ok(first)
    }

    /// The values of a parameter that may be given more than once.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_ref())
    }

    /// A whole number in a range.
    pub fn number(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        let expected = || format!("a whole number from {} to {}", range.start(), range.end());
        number.map(Some).ok_or_else(|| invalid(name, text, expected()))
    }

    /// `true` or `false`; the bare name (`?dry_run`) is `true`.
    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.text(name)? {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(text) => Err(invalid(name, text, "`true` or `false`")),
        }
    }

    /// A value of a type that reads itself, such as an id or a priority.
    pub fn parsed<T: FromStr<Err = Error>>(&self, name: &str) -> Result<Option<T>> {
        self.text(name)?.map(|text| text.parse().map_err(|error: Error| error.field(name))).transpose()
    }
}

fn unknown(name: &str, known: &[&str]) -> Error {
    let error = Error::new(Code::UnknownParameter, format!("there is no parameter `{name}`")).field(name);
    let alike = known.iter().map(|known| (strsim::jaro_winkler(name, known), known));
    let nearest = alike.filter(|(likeness, _)| *likeness >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, nearest)) => error.expected(format!("perhaps `{nearest}`")),
        None if known.is_empty() => error.expected("no parameters"),
        None => error.expected(format!("one of `{}`", known.join("`, `"))),
    }
}

fn invalid(name: &str, text: &str, expected: impl Into<String>) -> Error {
    Error::new(Code::InvalidParameter, format!("`{text}` is not allowed")).field(name).expected(expected)
}

fn not_utf8(name: &str) -> Error {
    Error::new(Code::InvalidParameter, "the parameter cannot be decoded")
        .field(name)
        .expected("UTF-8 in %-encoding, without NUL")
}

/// Undoes the encoding of forms: `+` is a space, `%41` a byte. `None` for what is cut off, not UTF-8, or
/// holds a NUL, which no value of ours has.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['+', '%']) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok().filter(|text| !text.contains('\0')).map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use posthaste_base::Priority;

    use super::*;

    const KNOWN: &[&str] = &["type", "limit", "priority", "dry_run"];

    fn refused<T>(raw: &str, read: impl Fn(&Query<'_>) -> Result<T>) -> (Code, String) {
        let error = Query::parse(Some(raw), KNOWN).and_then(|query| read(&query)).err().expect(raw);
        (error.code(), error.to_string())
    }

    #[test]
    fn values_are_decoded_and_typed() {
        let query =
            Query::parse(Some("type=order%20paid+%C3%A4&limit=7&priority=high&dry_run"), KNOWN).unwrap();
        assert_eq!(query.text("type").unwrap(), Some("order paid ä"));
        assert_eq!(query.number("limit", 1..=10).unwrap(), Some(7));
        assert_eq!(query.parsed::<Priority>("priority").unwrap(), Some(Priority::High));
        assert!(query.flag("dry_run").unwrap());
        assert_eq!(Query::parse(None, KNOWN).unwrap().text("type").unwrap(), None);
    }

    #[test]
    fn an_unknown_parameter_names_the_nearest_known_one() {
        let (code, message) = refused("prioritty=HIGH", |_| Ok(()));
        assert_eq!(code, Code::UnknownParameter);
        assert_eq!(message, "`prioritty`: there is no parameter `prioritty`, expected perhaps `priority`");
        let (_, message) = refused("zzz=1", |_| Ok(()));
        assert!(message.ends_with("expected one of `type`, `limit`, `priority`, `dry_run`"), "{message}");
    }

    #[test]
    fn a_bad_value_names_its_parameter_and_what_was_expected() {
        for (raw, part) in [
            ("limit=0", "`limit`: `0` is not allowed, expected a whole number from 1 to 10"),
            ("limit=99999999999999999999", "`limit`: "),
            ("limit=1&limit=2", "`limit`: `limit` is given more than once"),
            ("priority=URGENT", "`priority`: "),
            ("dry_run=yes", "`dry_run`: `yes` is not allowed, expected `true` or `false`"),
            ("type=%ff", "`type`: the parameter cannot be decoded"),
            ("type=%4", "`type`: "),
            ("type=a%00", "`type`: "),
        ] {
            let (code, message) = refused(raw, |query| {
                query.number("limit", 1..=10)?;
                query.parsed::<Priority>("priority")?;
                query.flag("dry_run")
            });
            assert_eq!(code, Code::InvalidParameter, "{raw}");
            assert!(message.starts_with(part), "{message}");
        }
    }
}
