//! W3C trace context: the `traceparent` that ties what Posthaste does to what its caller and its receivers do.
//!
//! Not for: recording spans (see `span`). `tracestate` is not carried on.

use std::fmt;
use std::str;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::span;

/// A valid `traceparent`: a trace, the span in it that is the parent of what follows, and flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceParent {
    /// The length of its text in version 00.
    pub const BYTES: usize = 55;
    const SAMPLED: u8 = 1;

    /// Reads a header's value. `None` for what the standard says to ignore: wrong lengths, upper case, zeros,
    /// version `ff`. A later version is read as far as this one goes.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let version = lower_hex(text.get(0..2)?)? as u8;
        let is_known = version == 0 && text.len() == Self::BYTES;
        let is_later = version > 0 && version < 0xff && matches!(text.get(Self::BYTES), None | Some(b'-'));
        if !(is_known || is_later) || text.len() < Self::BYTES || [text[2], text[35], text[52]] != *b"---" {
            return None;
        }
        let (trace_id, span_id) = (lower_hex(&text[3..35])?, lower_hex(&text[36..52])? as u64);
        let flags = lower_hex(&text[53..55])? as u8;
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, flags: flags & Self::SAMPLED })
    }

    /// The start of a new trace.
    pub fn generate() -> Self {
        Self::root_of((u128::from(unique()) << 64) | u128::from(unique()))
    }

    /// The first span of a trace that begins here. It is the lower half of the trace's id, so that who is given this id
    /// alone, as a correlation id, knows the parent as well.
    fn root_of(trace_id: u128) -> Self {
        let flags = if span::is_sampled(trace_id) { Self::SAMPLED } else { 0 };
        Self { trace_id, span_id: (trace_id as u64).max(1), flags }
    }

    /// Where an event with this correlation id stands: a whole `traceparent`, also with an id of the caller's own behind
    /// it, a trace that began here, or a text of the caller's own alone, which is no trace.
    pub fn of_correlation(id: &str) -> Option<Self> {
        let id = id.split_once(' ').map_or(id, |(trace, _)| trace).as_bytes();
        if id.len() != 32 {
            return Self::parse(id);
        }
        lower_hex(id).filter(|trace_id| *trace_id != 0).map(Self::root_of)
    }

    /// The trace of an event that came without one: its own id.
    pub fn of_event(id: u128) -> Self {
        Self::root_of(id.max(1))
    }

    /// A new span in the same trace.
    pub fn child(self) -> Self {
        Self { span_id: unique(), ..self }
    }

    pub fn trace_id(self) -> u128 {
        self.trace_id
    }

    pub fn span_id(self) -> u64 {
        self.span_id
    }

    /// Whether whoever began the trace records it.
    pub fn is_sampled(self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// Its text, for a header. Written by hand: this is on the way of every request.
    pub fn to_text(self) -> [u8; Self::BYTES] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], self.trace_id);
        write_hex(&mut text[36..52], u128::from(self.span_id));
        write_hex(&mut text[53..55], u128::from(self.flags));
        text
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.to_text()).unwrap_or_default())
    }
}

/// A number that does not come twice in this process, and by chance alone in another. Not a secret: ids need
/// no system call each, so one random seed is stepped and mixed (the finaliser of SplitMix64 is a bijection).
fn unique() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    static STEP: AtomicU64 = AtomicU64::new(0);
    let seed = *SEED.get_or_init(|| getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id())));
    let step = STEP.fetch_add(1, Ordering::Relaxed);
    let mut mixed = seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).max(1)
}

fn lower_hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u128::from(value))
    })
}

fn write_hex(place: &mut [u8], mut number: u128) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_traceparent_survives_the_round_trip() {
        assert_eq!(TraceParent::parse(EXAMPLE.as_bytes()).unwrap().to_string(), EXAMPLE);
        let generated = TraceParent::generate();
        assert_eq!(TraceParent::parse(&generated.to_text()), Some(generated));
    }

    #[test]
    fn a_child_stays_in_the_trace() {
        let parent = TraceParent::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(parent.child().trace_id(), parent.trace_id());
        assert_ne!(parent.child(), parent.child());
    }

    #[test]
    fn a_correlation_id_leads_to_its_trace_and_to_the_span_that_began_it() {
        let began = TraceParent::generate();
        let id = crate::CorrelationId::of_trace(began);
        assert_eq!(TraceParent::of_correlation(id.as_str()), Some(began));
        assert_eq!(TraceParent::of_correlation(EXAMPLE).unwrap().to_string(), EXAMPLE);
        assert_eq!(TraceParent::of_correlation(&format!("{EXAMPLE} order-7")).unwrap().to_string(), EXAMPLE);
        assert_eq!(TraceParent::of_correlation("order-7"), None);
        assert_eq!(TraceParent::of_correlation(&"z".repeat(32)), None);
    }

    #[test]
    fn a_later_version_is_read_as_this_one() {
        let later = EXAMPLE.replacen("00", "cc", 1) + "-what-comes-later";
        assert_eq!(TraceParent::parse(later.as_bytes()).unwrap().to_string(), EXAMPLE);
    }

    #[test]
    fn malformed_ones_are_ignored() {
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd8448eb211c80319ß-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceParent::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
