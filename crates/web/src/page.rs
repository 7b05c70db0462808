//! Listings by cursor: `?limit=&cursor=`, and pages that name where the next one starts.
//!
//! A cursor says behind which row to go on, so a page costs the same wherever it is, and rows that come or go
//! meanwhile neither repeat nor hide others. Not for: counting; nothing here knows a total.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posthaste_base::limits::{PAGE_DEFAULT, PAGE_MAX};
use posthaste_base::{Code, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Query;

const CURSOR_BYTES_MAX: usize = 1_024;

/// One page of a listing. There is a next one when `next_cursor` is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of rows that were read with one more than `limit` asked for: the one too many shows that
    /// there is a next page, which starts behind the last row of this one.
    pub fn of<K: Serialize>(listing: &str, mut rows: Vec<T>, limit: usize, key: impl Fn(&T) -> K) -> Self {
        let is_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| is_more);
        let next_cursor = last.map(|row| Cursor::new(listing, &key(row)));
        Self { items: rows, next_cursor }
    }

    pub fn map<U>(self, to: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(to).collect(), next_cursor: self.next_cursor }
    }
}

/// What a caller asks for: how many, behind what. `K` is the key that the listing is ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<K> {
    pub limit: usize,
    pub after: Option<K>,
}

impl<K: DeserializeOwned> PageRequest<K> {
    /// The names that a query must know for this.
    pub const PARAMETERS: [&'static str; 2] = ["limit", "cursor"];

    pub fn of(listing: &str, query: &Query) -> Result<Self> {
        let limit = query.number("limit", 1..=PAGE_MAX as i64)?.map_or(PAGE_DEFAULT, |limit| limit as usize);
        let after = query.text("cursor")?.map(|text| Cursor(text.to_owned()).key(listing)).transpose()?;
        Ok(Self { limit, after })
    }
}

/// A place in a listing: opaque to callers, and of no use in another listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    pub fn new<K: Serialize>(listing: &str, key: &K) -> Self {
        let json = serde_json::to_vec(&(listing, key)).unwrap_or_default();
        Self(URL_SAFE_NO_PAD.encode(json))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn key<K: DeserializeOwned>(&self, listing: &str) -> Result<K> {
        let wrong = || {
            Error::new(Code::InvalidParameter, "the cursor is not one of this listing")
                .field("cursor")
                .expected("`next_cursor` of a page before, unchanged")
        };
        if self.0.len() > CURSOR_BYTES_MAX {
            return Err(wrong());
        }
        let json = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| wrong())?;
        let (of, key): (String, K) = serde_json::from_slice(&json).map_err(|_| wrong())?;
        if of == listing { Ok(key) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(raw: &str) -> Result<PageRequest<(i64, String)>> {
        PageRequest::of("events", &Query::parse(Some(raw), &["limit", "cursor"])?)
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let rows = vec![(3, "c".to_owned()), (2, "b".to_owned()), (1, "a".to_owned())];
        let page = Page::of("events", rows.clone(), 2, |row| row.clone());
        assert_eq!(page.items, rows[..2]);
        let next = request(&format!("cursor={}", page.next_cursor.unwrap().as_str())).unwrap();
        assert_eq!(next, PageRequest { limit: PAGE_DEFAULT, after: Some((2, "b".to_owned())) });
        assert_eq!(Page::of("events", rows[2..].to_vec(), 2, |row| row.clone()).next_cursor, None);
    }

    #[test]
    fn limits_out_of_range_and_foreign_cursors_are_refused() {
        let foreign = Cursor::new("queues", &(1, "a"));
        let shape = Cursor::new("events", &"a");
        for (raw, field) in [
            ("limit=0", "limit"),
            ("limit=501", "limit"),
            ("limit=many", "limit"),
            ("cursor=*", "cursor"),
            ("cursor=", "cursor"),
            (&format!("cursor={}", foreign.as_str()), "cursor"),
            (&format!("cursor={}", shape.as_str()), "cursor"),
            (&format!("cursor={}", "a".repeat(2_000)), "cursor"),
        ] {
            let error = request(raw).unwrap_err();
            assert_eq!((error.code(), error.field_name()), (Code::InvalidParameter, Some(field)), "{raw}");
        }
    }
}
