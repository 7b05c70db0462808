//! Chance that can be had again: the same numbers for the same seed, on every machine.

use bytes::Bytes;

/// SplitMix64: small, fast, and good enough for payloads and pauses.
pub(super) struct Random(pub u64);

impl Random {
    /// Numbers that nobody had before: a payload that comes again would be a duplicate.
    pub(super) fn fresh() -> Self {
        Self(uuid::Uuid::now_v7().as_u128() as u64)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// `{"d":"<base64>"}` of exactly so many bytes.
    pub(super) fn payload(&mut self, bytes: usize) -> Bytes {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = Vec::with_capacity(bytes);
        text.extend_from_slice(b"{\"d\":\"");
        text.extend((0..bytes.saturating_sub(8)).map(|_| LETTERS[(self.next() >> 58) as usize]));
        text.extend_from_slice(b"\"}");
        text.into()
    }
}
