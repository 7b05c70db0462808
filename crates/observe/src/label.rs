//! Label values that come from users: cut to a length, and limited in number, because each new value costs
//! memory here and in whatever scrapes us for as long as the process lives.
//!
//! Not for: escaping, which the exporter does when it renders.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use posthaste_base::limits::NAME_BYTES_MAX;

/// Distinct values of one label. More than this many queues or endpoints share one series.
const VALUES_MAX: usize = 2_000;
/// The value that stands for all that came after the limit.
const OTHER: &str = "other";

static SEEN: Mutex<Option<HashMap<&'static str, HashSet<String>>>> = Mutex::new(None);

/// `value`, cut to the longest name, or `other` when the label has too many values already.
pub(crate) fn bounded(label: &'static str, value: &str) -> String {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let values = seen.get_or_insert_default().entry(label).or_default();
    let end = (0..=value.len().min(NAME_BYTES_MAX)).rev().find(|end| value.is_char_boundary(*end));
    let value = &value[..end.unwrap_or(0)];
    if values.contains(value) {
        return value.to_owned();
    }
    if values.len() >= VALUES_MAX {
        return OTHER.to_owned();
    }
    values.insert(value.to_owned());
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_limit_share_one_series() {
        for n in 0..VALUES_MAX {
            assert_eq!(bounded("test", &format!("v{n}")), format!("v{n}"));
        }
        assert_eq!(bounded("test", "one-more"), OTHER);
        assert_eq!(bounded("test", "v7"), "v7", "a value that is known stays itself");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(bounded("test-length", &"ä".repeat(100)).len(), NAME_BYTES_MAX);
        assert_eq!(bounded("test-length", &format!("x{}", "ä".repeat(100))).len(), NAME_BYTES_MAX - 1);
    }
}
