//! A local day, with or without a time of day: when something happens once, or what a rule counts from.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use posthaste_base::{Code, Error};

use crate::due;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub date: Date,
    /// The schedule's time of day where this names none.
    pub time: Option<Time>,
}

impl Start {
    /// Reads `2026-05-01T09:00` or `2026-05-01`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let start = if text.contains(':') {
            let local = due::parse_local(text)?;
            Self { date: local.date(), time: Some(local.time()) }
        } else {
            Self { date: due::parse_date(text)?, time: None }
        };
        if start.date.year() < 1 || start.date.year() > 9998 {
            return Err(Error::new(Code::InvalidTime, format!("`{text}` is out of range"))
                .expected("a date in the years 1 to 9998"));
        }
        Ok(start)
    }

    pub fn local(&self, at: Time) -> DateTime {
        self.date.to_datetime(self.time.unwrap_or(at))
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            Some(time) => self.date.to_datetime(time).fmt(f),
            None => self.date.fmt(f),
        }
    }
}
