//! The correlation id of what is being worked on, so that every log line written meanwhile carries it.
//!
//! It is kept for the thread and set anew at each poll of a future: a span for each request would cost more
//! than most requests do. Not for: reading it from a request (see `posthaste-web`).

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::pin;
use std::str;

use bytes::Bytes;

use crate::TraceParent;

/// A text that is safe in a header and in a log line. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(Bytes);

impl CorrelationId {
    pub const BYTES_MAX: usize = 128;

    /// Takes an id of a caller's: 1 to 128 letters, digits and `-_.:/+=@`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
        let is_valid = !text.is_empty() && text.len() <= Self::BYTES_MAX && text.iter().all(is_safe);
        is_valid.then(|| Self(Bytes::copy_from_slice(text)))
    }

    /// The trace's id, in 32 hexadecimal digits.
    pub fn of_trace(trace: TraceParent) -> Self {
        Self(Bytes::copy_from_slice(&trace.to_text()[3..35]))
    }

    /// The id that is shown for what is stored with an event: of a whole `traceparent`, its trace's id; of one with an
    /// id of the caller's own behind it, that id.
    pub fn of_stored(text: &str) -> &str {
        if let Some((_, id)) = text.split_once(' ') {
            return id;
        }
        match TraceParent::parse(text.as_bytes()) {
            Some(_) => &text[3..35],
            None => text,
        }
    }

    pub fn generate() -> Self {
        Self::of_trace(TraceParent::generate())
    }

    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

thread_local! {
    static CURRENT: RefCell<Option<CorrelationId>> = const { RefCell::new(None) };
}

/// The id of what this thread is working on.
pub fn current() -> Option<CorrelationId> {
    CURRENT.with_borrow(Clone::clone)
}

/// Sets the id until the guard is dropped; what was set before comes back.
#[must_use]
pub fn enter(id: CorrelationId) -> Entered {
    Entered { previous: CURRENT.replace(Some(id)), on_this_thread: PhantomData }
}

/// Runs a future with the id set whenever it is polled, on whatever thread.
pub async fn scope<F: Future>(id: CorrelationId, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(move |context| {
        let _entered = enter(id.clone());
        future.as_mut().poll(context)
    })
    .await
}

/// Keeps an id set. Stays on its thread, which the pointer ensures.
pub struct Entered {
    previous: Option<CorrelationId>,
    on_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.previous.take());
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn id(text: &str) -> CorrelationId {
        CorrelationId::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn ids_that_could_forge_a_header_or_a_log_line_are_refused() {
        for wrong in ["", "a b", "a\r\nx: y", "a\"b", "{a}", "ä", &"x".repeat(129)] {
            assert_eq!(CorrelationId::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(id("Root=1-67891233-abcdef012345678912345678").as_str().len(), 40);
    }

    #[test]
    fn what_is_stored_shows_the_callers_own_id_or_that_of_its_trace() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (stored, shown) in [
            ("order-7", "order-7"),
            (trace, "0af7651916cd43dd8448eb211c80319c"),
            (&format!("{trace} order-7"), "order-7"),
            (&format!("{trace} {trace}"), trace),
        ] {
            assert_eq!(CorrelationId::of_stored(stored), shown);
        }
    }

    #[test]
    fn leaving_brings_back_the_outer_id() {
        let outer = enter(id("outer"));
        drop(enter(id("inner")));
        assert_eq!(current(), Some(id("outer")));
        drop(outer);
        assert_eq!(current(), None);
    }

    #[test]
    fn a_scope_is_set_at_each_poll_and_at_no_other_time() {
        let mut polls = 0;
        let future = poll_fn(|_| {
            assert_eq!(current(), Some(id("task")));
            polls += 1;
            if polls == 2 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        });
        let mut scoped = pin!(scope(id("task"), future));
        let mut context = Context::from_waker(Waker::noop());
        assert!(scoped.as_mut().poll(&mut context).is_pending());
        assert_eq!(current(), None);
        assert!(scoped.as_mut().poll(&mut context).is_ready());
    }
}
