//! The words of a name, however it is written: `order_items`, `OrderItems`, `"Order Items"`.
//!
//! Not for: what the words mean, which each kind of suspicion knows for itself.

/// The words in lower case.
pub(super) fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (place, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let before = place.checked_sub(1).map(|place| letters[place]);
        let after = letters.get(place + 1);
        let opens_word = letter.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_numeric())
                || before.is_some_and(char::is_uppercase) && after.is_some_and(|after| after.is_lowercase()));
        if opens_word {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// One of many: `categories` is `category`.
pub(super) fn singular(word: &str) -> String {
    let irregular = [
        ("people", "person"),
        ("children", "child"),
        ("men", "man"),
        ("women", "woman"),
        ("data", "data"),
        ("series", "series"),
        ("movies", "movie"),
        ("indices", "index"),
        ("analyses", "analysis"),
    ];
    if let Some((_, one)) = irregular.iter().find(|(many, _)| *many == word) {
        return (*one).to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    let es = ["sses", "xes", "zes", "ches", "shes", "uses"];
    if es.iter().any(|end| word.ends_with(end)) {
        return word[..word.len() - 2].to_owned();
    }
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 1 && !["s", "u", "i"].iter().any(|end| stem.ends_with(end)) => {
            stem.to_owned()
        }
        _ => word.to_owned(),
    }
}

/// What one row of a table is called: `tbl_OrderItems` is `order`, `item`.
pub(super) fn stem(table: &str) -> Vec<String> {
    let mut words = words(table);
    if words.len() > 1 && ["tbl", "t", "tb", "dim", "fact"].contains(&words[0].as_str()) {
        words.remove(0);
    }
    if let Some(last) = words.last_mut() {
        *last = singular(last);
    }
    words
}

/// Whether a list of words ends with those, and how many come before them.
pub(super) fn ends_with(words: &[String], end: &[String]) -> Option<usize> {
    words.ends_with(end).then(|| words.len() - end.len())
}

pub(super) fn has_any(words: &[String], known: &[&str]) -> bool {
    words.iter().any(|word| known.contains(&word.as_str()))
}

pub(super) fn is_any(words: &[String], known: &[&str]) -> bool {
    known.contains(&words.join(" ").as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_falls_into_words_however_it_is_written() {
        for name in ["order_item_id", "orderItemId", "OrderItemID", "Order Item-ID", "ORDER_ITEM_ID"] {
            assert_eq!(words(name).join(" "), "order item id", "{name}");
        }
        assert_eq!(words("XMLFile2Name").join(" "), "xml file2 name");
        assert!(words("\"\n").is_empty());
    }

    #[test]
    fn one_of_many_is_found() {
        for (many, one) in [
            ("categories", "category"),
            ("addresses", "address"),
            ("boxes", "box"),
            ("statuses", "status"),
            ("status", "status"),
            ("users", "user"),
            ("people", "person"),
            ("houses", "hous"),
            ("bus", "bus"),
            ("news", "new"),
        ] {
            assert_eq!(singular(many), one);
        }
        assert_eq!(stem("tbl_OrderItems").join(" "), "order item");
    }
}
