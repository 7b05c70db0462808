//! What an error of the HTTP library says about an attempt.
//!
//! Not for: what the attempt's failure means for its message (the engine's failure categories).

use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy;

use crate::answer::{TransportError, TransportKind};
use crate::connect::ConnectError;

const MESSAGE_CHARS_MAX: usize = 300;

/// Names the failure. `was_written` says whether the library had begun to write the request.
pub(crate) fn classify(error: &legacy::Error, was_written: bool) -> TransportError {
    if let Some(cause) = find::<ConnectError>(error) {
        return transport_error(connect_kind(cause), cause.to_string(), false);
    }
    // TLS 1.3 servers refuse after the handshake, when the first answer is read.
    if let Some(cause) = find_tls(error) {
        return transport_error(TransportKind::Tls, format!("TLS failed: {cause}"), was_written);
    }
    let Some(cause) = find::<hyper::Error>(error) else {
        return transport_error(TransportKind::Reset, chain(error), was_written);
    };
    if cause.is_parse() {
        let message = format!("the answer is not HTTP/1.1: {}", chain(cause));
        return transport_error(TransportKind::MalformedAnswer, message, was_written);
    }
    if cause.is_incomplete_message() || cause.is_canceled() || cause.is_closed() {
        let message = "the connection was closed before an answer came".to_string();
        return transport_error(TransportKind::Reset, message, was_written);
    }
    transport_error(TransportKind::Reset, format!("the connection broke: {}", chain(cause)), was_written)
}

pub(crate) fn transport_error(
    kind: TransportKind,
    message: String,
    may_have_arrived: bool,
) -> TransportError {
    let message = match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => message[..end].to_string(),
        None => message,
    };
    TransportError { kind, message, may_have_arrived }
}

fn connect_kind(error: &ConnectError) -> TransportKind {
    match error {
        ConnectError::AddressRefused { .. } | ConnectError::Uncallable => TransportKind::AddressRefused,
        ConnectError::Dns { .. } => TransportKind::Dns,
        ConnectError::Refused { cause, .. } if cause.kind() == io::ErrorKind::TimedOut => {
            TransportKind::ConnectTimeout
        }
        ConnectError::Refused { .. } => TransportKind::ConnectRefused,
        ConnectError::TimedOut { .. } => TransportKind::ConnectTimeout,
        ConnectError::Tls(_) => TransportKind::Tls,
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// An IO error does not give what it wraps as its source.
fn find_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .filter_map(|error| error.get_ref())
        .find_map(|inner| inner.downcast_ref())
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
