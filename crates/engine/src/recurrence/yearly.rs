//! A day of the year, such as a birthday.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use posthaste_base::{Code, Error};

/// Once in every year; 29 February is 28 February in other years (requirements, decision 22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yearly {
    month: i8,
    day: i8,
}

impl Yearly {
    pub fn new(month: i8, day: i8) -> Result<Self, Error> {
        // A leap year has every day that any year has.
        match Date::new(2024, month, day) {
            Ok(_) => Ok(Self { month, day }),
            Err(_) => {
                let message = match Date::new(2024, month, 1) {
                    Ok(first) => {
                        format!("day {day} does not exist: month {month} has {} days", first.days_in_month())
                    }
                    Err(_) => format!("there is no month {month}"),
                };
                Err(invalid(message))
            }
        }
    }

    /// Reads `03-15`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let unreadable = || invalid(format!("`{text}` is not a day of the year"));
        let two_digits = |part: &str| {
            let is_written_well = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| is_written_well)
        };
        let (month, day) = text.split_once('-').ok_or_else(unreadable)?;
        match (two_digits(month), two_digits(day)) {
            (Some(month), Some(day)) => Self::new(month, day),
            _ => Err(unreadable()),
        }
    }

    /// The day on which a date comes round, for a birthday or an anniversary.
    pub fn of(date: Date) -> Self {
        Self { month: date.month(), day: date.day() }
    }

    pub(super) fn local_times_after(self, start: DateTime, at: Time) -> impl Iterator<Item = DateTime> {
        (start.year()..=Date::MAX.year())
            .filter_map(move |year| self.in_year(year))
            .map(move |date| date.to_datetime(at))
            .filter(move |local| *local > start)
    }

    fn in_year(self, year: i16) -> Option<Date> {
        let length = Date::new(year, self.month, 1).ok()?.days_in_month();
        Date::new(year, self.month, self.day.min(length)).ok()
    }
}

impl fmt::Display for Yearly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidSchedule, message).field("yearly").expected("month and day, such as `03-15`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(text: &str, message: &str) {
        let error = Yearly::parse(text).expect_err("it should be refused");
        assert_eq!(error.code(), Code::InvalidSchedule);
        assert!(error.message().contains(message), "{text}: {error}");
    }

    #[test]
    fn days_of_the_year_are_read() {
        for text in ["01-01", "02-29", "03-15", "12-31"] {
            assert_eq!(Yearly::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn days_that_no_year_has_are_refused() {
        check_refused("02-30", "month 2 has 29 days");
        check_refused("04-31", "month 4 has 30 days");
        check_refused("13-01", "no month 13");
        check_refused("01-00", "day 0 does not exist");
        for text in ["", "3-15", "03-15-2026", "2026-03-15", "+3-15", "03/15", "é3-15"] {
            check_refused(text, "is not a day of the year");
        }
    }
}
