//! Cron patterns: five fields, six with seconds, names, and `@daily` and its like.

use croner::Cron;
use croner::parser::{CronParser, Year};
use jiff::civil::DateTime;
use posthaste_base::{Code, Error};

/// The fields of a pattern with seconds; one without starts at the second of these.
const FIELDS: [&str; 6] = ["second", "minute", "hour", "day of month", "month", "day of week"];

/// A pattern that can be read and does occur.
#[derive(Clone, Debug)]
pub struct CronRule {
    text: String,
    cron: Cron,
}

impl CronRule {
    /// Reads a pattern, or names the field that is wrong. A pattern that never occurs (30 February) is refused.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if !text.is_ascii() {
            return Err(invalid(format!("`{text}` has characters that no pattern has")));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        if !text.starts_with('@') {
            check_fields(&fields)?;
        }
        let cron = read(text).map_err(|reason| invalid(format!("`{text}` cannot be read: {reason}")))?;
        let rule = Self { text: text.to_owned(), cron };
        // The calendar repeats itself after 400 years; what does not occur in them never does.
        if rule.local_times_after(DateTime::constant(2000, 1, 1, 0, 0, 0, 0)).next().is_none() {
            let [.., day, month, _] = fields[..] else {
                return Err(invalid(format!("`{text}` never occurs")));
            };
            return Err(invalid(format!(
                "`{text}` never occurs: day of month `{day}` does not come in month `{month}`"
            ))
            .expected("a day that comes"));
        }
        Ok(rule)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The pattern's own treatment of changing clocks is not used: it moves all that a gap skips to its end.
    pub(super) fn local_times_after(&self, start: DateTime) -> impl Iterator<Item = DateTime> {
        let next = move |from: &DateTime| self.cron.find_next_occurrence(from, false).ok();
        std::iter::successors(next(&start), next)
    }
}

impl PartialEq for CronRule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

fn read(text: &str) -> Result<Cron, croner::errors::CronError> {
    CronParser::builder().year(Year::Disallowed).build().parse(text)
}

/// Reads each field alone, since the reader of the whole does not say which one is wrong.
fn check_fields(fields: &[&str]) -> Result<(), Error> {
    let names = match fields.len() {
        5 => &FIELDS[1..],
        6 => &FIELDS[..],
        count => return Err(invalid(format!("the pattern has {count} fields"))),
    };
    for (index, (field, name)) in fields.iter().zip(names).enumerate() {
        let mut alone = vec!["*"; fields.len()];
        alone[index] = field;
        let has_empty_item = field.split(',').any(str::is_empty);
        if has_empty_item || read(&alone.join(" ")).is_err() {
            return Err(invalid(format!("the field for the {name}, `{field}`, cannot be read")));
        }
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidSchedule, message).field("cron").expected(
        "five fields (minute, hour, day of month, month, day of week), or six with the second first",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, after: &str, expected: &str) {
        let rule = CronRule::parse(pattern).unwrap();
        let next = rule.local_times_after(after.parse().unwrap()).next().unwrap();
        assert_eq!(next, expected.parse().unwrap(), "{pattern}");
    }

    fn check_refused(pattern: &str, message: &str) {
        let error = CronRule::parse(pattern).expect_err(pattern);
        assert_eq!((error.code(), error.field_name()), (Code::InvalidSchedule, Some("cron")));
        assert!(error.message().contains(message), "`{}` should contain `{message}`", error.message());
    }

    #[test]
    fn patterns_occur_when_they_say() {
        check("0 9 * * 1-5", "2026-01-02T09:00", "2026-01-05T09:00");
        check("30 0 9 * * MON", "2026-01-02T09:00", "2026-01-05T09:00:30");
        check("*/15 * * JAN,jul *", "2026-01-31T23:50", "2026-07-01T00:00");
        check("0 0 31 * *", "2026-01-31T00:00", "2026-03-31T00:00");
        check("0 0 L * *", "2026-02-01T00:00", "2026-02-28T00:00");
        check("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00");
        check("0 9 * * MON#1", "2026-01-06T00:00", "2026-02-02T09:00");
        check("0 0 13 * FRI", "2026-01-01T00:00", "2026-01-02T00:00");
    }

    #[test]
    fn nicknames_are_known() {
        check("@yearly", "2026-01-01T00:00", "2027-01-01T00:00");
        check("@annually", "2026-01-01T00:00", "2027-01-01T00:00");
        check("@monthly", "2026-01-01T00:00", "2026-02-01T00:00");
        check("@weekly", "2026-01-01T00:00", "2026-01-04T00:00");
        check("@daily", "2026-01-01T00:00", "2026-01-02T00:00");
        check("@hourly", "2026-01-01T00:00", "2026-01-01T01:00");
    }

    #[test]
    fn fields_that_are_wrong_are_named() {
        check_refused("60 9 * * *", "field for the minute, `60`");
        check_refused("0 24 * * *", "field for the hour, `24`");
        check_refused("0 9 32 * *", "field for the day of month, `32`");
        check_refused("0 9 * 13 *", "field for the month, `13`");
        check_refused("0 9 * * 8", "field for the day of week, `8`");
        check_refused("61 0 9 * * *", "field for the second, `61`");
        check_refused("0 9 * * MONDAY", "field for the day of week");
        check_refused("*/0 * * * *", "field for the minute");
        check_refused("1,,2 * * * *", "field for the minute");
        check_refused(", * * * *", "field for the minute");
        check_refused("", "has 0 fields");
        check_refused("* * * *", "has 4 fields");
        check_refused("0 0 9 * * * 2026", "has 7 fields");
        check_refused("@fortnightly", "cannot be read");
        check_refused("é * * * *", "characters");
    }

    #[test]
    fn patterns_that_never_occur_are_refused() {
        check_refused("0 9 30 2 *", "day of month `30` does not come in month `2`");
        check_refused("0 9 31 4,6,9,11 *", "never occurs");
        check_refused("0 0 9 30 FEB *", "day of month `30` does not come in month `FEB`");
    }
}
