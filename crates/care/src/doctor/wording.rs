//! Numbers as people read them.
//!
//! Not for: whole sentences, which are the checks' own.

/// `1 table`, `3 tables`.
pub(crate) fn counted(count: impl TryInto<i64>, one: &str) -> String {
    let count = count.try_into().unwrap_or(i64::MAX);
    let plural = match one.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        Some(stem) => format!("{stem}ies"),
        None if one.ends_with('x') || one.ends_with('s') => format!("{one}es"),
        None => format!("{one}s"),
    };
    format!("{} {}", grouped(count), if count == 1 { one } else { &plural })
}

/// With commas between thousands.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// In binary units, with one digit after the point below ten.
pub(crate) fn bytes(bytes: i64) -> String {
    let mut value = bytes as f64;
    for unit in ["bytes", "kB", "MB", "GB", "TB"] {
        if value.abs() < 1024.0 || unit == "TB" {
            let is_whole = unit == "bytes" || value.abs() >= 10.0;
            return if is_whole { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    unreachable!("the last unit returns")
}

/// The two largest units, or milliseconds below a second.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{:.0} ms", (seconds * 1000.0).max(0.0));
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", whole % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) if days < 10 => format!("{} {hours} h", counted(days, "day")),
        (days, _, _) => counted(days, "day"),
    }
}

/// `part` of `whole`, without pretending to know more than a point.
pub(crate) fn percent(part: f64, whole: f64) -> String {
    let share = if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
    match share {
        share if share > 0.0 && share < 1.0 => "under 1 %".to_owned(),
        share if share < 100.0 && share > 99.0 => "over 99 %".to_owned(),
        share => format!("{share:.0} %"),
    }
}

/// A statement or a name on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many characters, and a sign where some are left out.
pub(crate) fn shortened(text: &str, characters: usize) -> String {
    let text = one_line(text);
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(counted(1, "index"), "1 index");
        assert_eq!(counted(1_234_567, "index"), "1,234,567 indexes");
        assert_eq!(counted(2, "foreign key"), "2 foreign keys");
        assert_eq!(counted(2, "query"), "2 queries");
        assert_eq!(bytes(512), "512 bytes");
        assert_eq!(bytes(1_536), "1.5 kB");
        assert_eq!(bytes(5 << 30), "5.0 GB");
        assert_eq!(duration(0.25), "250 ms");
        assert_eq!(duration(75.0), "1 min 15 s");
        assert_eq!(duration(7_300.0), "2 h 1 min");
        assert_eq!(duration(90_000.0), "1 day 1 h");
        assert_eq!(percent(1.0, 3.0), "33 %");
        assert_eq!(percent(999.0, 1_000.0), "over 99 %");
        assert_eq!(shortened("select\n  1 from t", 8), "select 1…");
    }
}
