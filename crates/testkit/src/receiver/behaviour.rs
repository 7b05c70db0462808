//! What the receiver does with a request: a good answer, a bad one, a late one, or none.
//!
//! Not for: doing it (see `serve`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

/// Whether a request is such, by its body.
type Judge = fn(&[u8]) -> bool;

/// What the receiver does with the requests of a path. Starts as one of the constructors; the other methods add to it.
#[derive(Clone, Debug)]
pub struct Behaviour {
    pub(super) end: End,
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
    delay: Duration,
    delay_first: Option<(u64, Duration)>,
    fail_first: u64,
    fail_probability: f64,
    pub(super) fail_status: u16,
    seed: u64,
    refuses: Option<(Judge, u16)>,
}

#[derive(Clone, Debug)]
pub(super) enum End {
    Answer,
    /// A body that depends on the request's.
    Reply(fn(&[u8]) -> Bytes),
    /// Never answers.
    Hang,
    /// Writes these bytes instead of an answer and closes, or resets, the connection.
    Raw {
        bytes: Bytes,
        is_reset: bool,
    },
    /// A body in chunks, of so many bytes in all if that is given, else without end.
    Chunks {
        every: Duration,
        length_bytes: Option<u64>,
    },
}

impl Behaviour {
    pub fn answer(status: u16) -> Self {
        Self {
            end: End::Answer,
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            delay_first: None,
            fail_first: 0,
            fail_probability: 0.0,
            fail_status: 503,
            seed: 0,
            refuses: None,
        }
    }

    pub fn hang() -> Self {
        Self { end: End::Hang, ..Self::answer(200) }
    }

    /// A good status, and a body made from the request's.
    pub fn reply(reply: fn(&[u8]) -> Bytes) -> Self {
        Self { end: End::Reply(reply), ..Self::answer(200) }
    }

    /// Reads the request and resets the connection.
    pub fn reset() -> Self {
        Self { end: End::Raw { bytes: Bytes::new(), is_reset: true }, ..Self::answer(200) }
    }

    /// Reads the request and closes the connection after these bytes, whatever they are.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self { end: End::Raw { bytes: bytes.into(), is_reset: false }, ..Self::answer(200) }
    }

    /// A good status and half of the body that was promised.
    pub fn cut_body() -> Self {
        Self::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    }

    /// A good status and a body that trickles without end.
    pub fn slow_body(every_ms: u64) -> Self {
        let every = Duration::from_millis(every_ms);
        Self { end: End::Chunks { every, length_bytes: None }, ..Self::answer(200) }
    }

    /// A good status and a body of this announced length.
    pub fn huge_body(length_bytes: u64) -> Self {
        let end = End::Chunks { every: Duration::ZERO, length_bytes: Some(length_bytes) };
        Self { end, ..Self::answer(200) }
    }

    pub fn redirect(to: &str) -> Self {
        Self::answer(307).header("location", to)
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a test's header value can be sent");
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub fn delay_ms(mut self, delay_ms: u64) -> Self {
        self.delay = Duration::from_millis(delay_ms);
        self
    }

    /// The first so many requests of the path wait for so long, the rest as long as was asked for.
    pub fn delay_first_ms(mut self, count: u64, delay_ms: u64) -> Self {
        self.delay_first = Some((count, Duration::from_millis(delay_ms)));
        self
    }

    /// The first so many requests of the path get this status, the rest what was asked for.
    pub fn fail_first(mut self, count: u64, status: u16) -> Self {
        (self.fail_first, self.fail_status) = (count, status);
        self
    }

    /// Requests whose body is such get this status.
    pub fn refuse_if(mut self, is_refused: Judge, status: u16) -> Self {
        self.refuses = Some((is_refused, status));
        self
    }

    /// This share of the requests gets this status, chosen by the seed.
    pub fn fail_randomly(mut self, probability: f64, status: u16, seed: u64) -> Self {
        (self.fail_probability, self.fail_status, self.seed) = (probability, status, seed);
        self
    }
}

/// A behaviour and what it has to remember.
pub(super) struct Rule {
    pub(super) behaviour: Behaviour,
    calls: AtomicU64,
    random: AtomicU64,
}

impl Rule {
    pub(super) fn new(behaviour: Behaviour) -> Self {
        let random = AtomicU64::new(behaviour.seed);
        Self { behaviour, calls: AtomicU64::new(0), random }
    }

    /// How many calls came before this one.
    pub(super) fn turn(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn delay(&self, turn: u64) -> Duration {
        let first = self.behaviour.delay_first.filter(|(count, _)| turn < *count);
        first.map_or(self.behaviour.delay, |(_, delay)| delay)
    }

    /// The status of a request that is refused for its body.
    pub(super) fn refuses(&self, body: &[u8]) -> Option<u16> {
        self.behaviour.refuses.filter(|(is_refused, _)| is_refused(body)).map(|(_, status)| status)
    }

    /// Whether this call is one of those that fail.
    pub(super) fn fails(&self, turn: u64) -> bool {
        if turn < self.behaviour.fail_first {
            return true;
        }
        if self.behaviour.fail_probability <= 0.0 {
            return false;
        }
        // SplitMix64: a sequence of well-mixed numbers from any seed.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
        unit < self.behaviour.fail_probability
    }
}
