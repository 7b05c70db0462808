//! A request's body as bytes: of a type that is read here, not empty, not too large, not cut off.
//!
//! Not for: parsing. JSON is read strictly by `posthaste-engine`.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use posthaste_base::limits::REQUEST_BYTES_MAX;
use posthaste_base::{Code, Error, Result};

use crate::Problem;

/// How long a caller may take to send a body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a body that is too large is passed over, and for how long.
const DISCARD_BYTES_MAX: usize = 64 * 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`, or none at all.
    Json,
    /// `application/cloudevents+json`: one event in structured mode.
    CloudEvent,
    /// `application/cloudevents-batch+json`.
    CloudEventBatch,
    /// `application/vnd.posthaste.event+json`: one event in our own envelope.
    Event,
}

impl MediaType {
    pub fn of(headers: &HeaderMap) -> Result<Self> {
        let unsupported = |field: &str, text: &[u8], expected: &str| {
            let text = String::from_utf8_lossy(text).into_owned();
            Error::new(Code::UnsupportedMediaType, format!("`{text}` is not read here"))
                .field(field)
                .expected(expected)
        };
        if let Some(encoding) = headers.get(CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(unsupported(
                "content-encoding",
                encoding.as_bytes(),
                "a body that is not compressed",
            )
            .hint("send the body as it is"));
        }
        let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Self::Json) };
        let value = value.as_bytes();
        let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let essence = parts.next().unwrap_or_default();
        let known = [
            ("application/json", Self::Json),
            ("application/cloudevents+json", Self::CloudEvent),
            ("application/cloudevents-batch+json", Self::CloudEventBatch),
            ("application/vnd.posthaste.event+json", Self::Event),
        ];
        let expected =
            "`application/json`, `application/cloudevents+json` or `application/cloudevents-batch+json`";
        let found = known.into_iter().find(|(name, _)| essence.eq_ignore_ascii_case(name.as_bytes()));
        let (_, media_type) = found.ok_or_else(|| unsupported("content-type", value, expected))?;
        // JSON is UTF-8; a caller that says otherwise would be misread in silence.
        match parts.find(|part| !is_utf8_or_no_charset(part)) {
            Some(_) => Err(unsupported("content-type", value, "`charset=utf-8`, or no charset")),
            None => Ok(media_type),
        }
    }
}

fn is_utf8_or_no_charset(parameter: &[u8]) -> bool {
    let lower = parameter.to_ascii_lowercase();
    !lower.starts_with(b"charset=") || matches!(&lower[8..], b"utf-8" | b"utf8" | b"\"utf-8\"" | b"us-ascii")
}

/// An extractor of a body of up to `REQUEST_BYTES_MAX`.
#[derive(Clone, Debug)]
pub struct Body {
    pub bytes: Bytes,
    pub media_type: MediaType,
}

impl<S: Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        Ok(Body::read(request, REQUEST_BYTES_MAX).await?)
    }
}

impl Body {
    /// Reads a body of up to `bytes_max` that must be there.
    pub async fn read(request: Request, bytes_max: usize) -> Result<Self> {
        let body = Self::read_optional(request, bytes_max).await?;
        body.ok_or_else(|| Error::new(Code::MissingBody, "the body is empty").expected("a JSON value"))
    }

    /// Reads a body that may be left out; `None` when it is.
    pub async fn read_optional(request: Request, bytes_max: usize) -> Result<Option<Self>> {
        let (parts, body) = request.into_parts();
        // An address that takes no body need not say its type.
        if body.is_end_stream() {
            return Ok(None);
        }
        let media_type = MediaType::of(&parts.headers)?;
        let declared =
            parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let bytes = collect(body, declared, bytes_max).await?;
        Ok((!bytes.is_empty()).then_some(Self { bytes, media_type }))
    }

    /// Reads a body of any type that may be left out; `None` when it is.
    pub async fn read_bytes(
        headers: &HeaderMap,
        body: axum::body::Body,
        bytes_max: usize,
    ) -> Result<Option<Bytes>> {
        if body.is_end_stream() {
            return Ok(None);
        }
        let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let bytes = collect(body, declared, bytes_max).await?;
        Ok((!bytes.is_empty()).then_some(bytes))
    }
}

async fn collect(mut body: axum::body::Body, declared: Option<usize>, bytes_max: usize) -> Result<Bytes> {
    let too_large = || {
        Error::new(Code::PayloadTooLarge, format!("the body has more than {bytes_max} bytes"))
            .expected(format!("at most {bytes_max} bytes"))
    };
    if declared.is_some_and(|length| length > bytes_max) {
        discard(body);
        return Err(too_large());
    }
    let reading = async {
        // A small body comes in one piece, which is then passed on without a copy.
        let first = next(&mut body).await?.unwrap_or_default();
        if first.len() > bytes_max {
            return Ok(None);
        }
        if body.is_end_stream() || declared == Some(first.len()) {
            return Ok(Some(first));
        }
        let mut bytes = BytesMut::with_capacity(declared.unwrap_or(2 * first.len()).min(bytes_max));
        bytes.extend_from_slice(&first);
        while let Some(piece) = next(&mut body).await? {
            if bytes.len() + piece.len() > bytes_max {
                return Ok(None);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes.freeze()))
    };
    let read = tokio::time::timeout(READ_TIMEOUT, reading).await.map_err(|_| {
        let message = format!("the body did not arrive within {} s", READ_TIMEOUT.as_secs());
        Error::new(Code::RequestTimeout, message)
    })?;
    match read? {
        Some(bytes) => Ok(bytes),
        None => {
            discard(body);
            Err(too_large())
        }
    }
}

/// The next piece of data; trailers are passed over.
async fn next(body: &mut axum::body::Body) -> Result<Option<Bytes>> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::new(Code::MalformedBody, "the body ended before its time").caused_by(error)
        })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Lets the caller finish sending for a moment. The answer goes out at once, but a connection that is closed
/// on unread bytes is reset, and many clients then report the reset instead of the answer.
fn discard(mut body: axum::body::Body) {
    tokio::spawn(tokio::time::timeout(DISCARD_TIMEOUT, async move {
        let mut left = DISCARD_BYTES_MAX;
        while let Ok(Some(piece)) = next(&mut body).await {
            let Some(rest) = left.checked_sub(piece.len()) else { return };
            left = rest;
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_of_pieces::pieces;

    use super::*;

    /// A body that comes in several pieces, without a declared length.
    mod futures_of_pieces {
        use std::pin::Pin;
        use std::task::{Context, Poll};

        use hyper::body::Frame;

        use super::*;

        struct Pieces(Vec<&'static [u8]>);

        impl hyper::body::Body for Pieces {
            type Data = Bytes;
            type Error = Infallible;

            fn poll_frame(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                let piece = (!self.0.is_empty()).then(|| self.0.remove(0));
                Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from_static(piece)))))
            }
        }

        pub(super) fn pieces(pieces: &[&'static [u8]]) -> axum::body::Body {
            axum::body::Body::new(Pieces(pieces.to_vec()))
        }
    }

    fn media_type(value: &str) -> Result<MediaType> {
        MediaType::of(&HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]))
    }

    #[test]
    fn known_types_are_told_apart() {
        assert_eq!(media_type("application/json").unwrap(), MediaType::Json);
        assert_eq!(media_type("Application/JSON; charset=UTF-8").unwrap(), MediaType::Json);
        assert_eq!(media_type("application/cloudevents+json;x=y").unwrap(), MediaType::CloudEvent);
        assert_eq!(media_type("application/cloudevents-batch+json").unwrap(), MediaType::CloudEventBatch);
        assert_eq!(MediaType::of(&HeaderMap::new()).unwrap(), MediaType::Json);
    }

    #[test]
    fn other_types_charsets_and_encodings_are_refused() {
        for wrong in [
            "text/plain",
            "application/jsonx",
            "",
            "application/json; charset=latin1",
            "application/x-www-form-urlencoded",
        ] {
            let error = media_type(wrong).unwrap_err();
            assert_eq!(
                (error.code(), error.field_name()),
                (Code::UnsupportedMediaType, Some("content-type")),
                "{wrong}"
            );
        }
        let gzip = HeaderMap::from_iter([(CONTENT_ENCODING, "gzip".parse().unwrap())]);
        assert_eq!(MediaType::of(&gzip).unwrap_err().field_name(), Some("content-encoding"));
    }

    async fn check(body: axum::body::Body, bytes_max: usize, expected: Result<&[u8], Code>) {
        let read = Body::read(Request::new(body), bytes_max).await;
        assert_eq!(read.as_ref().map(|body| body.bytes.as_ref()).map_err(Error::code), expected);
    }

    #[tokio::test]
    async fn bodies_are_read_up_to_the_limit() {
        check(axum::body::Body::from("12345"), 5, Ok(b"12345")).await;
        check(axum::body::Body::from("123456"), 5, Err(Code::PayloadTooLarge)).await;
        check(pieces(&[b"12", b"34", b"5"]), 5, Ok(b"12345")).await;
        check(pieces(&[b"12", b"34", b"56"]), 5, Err(Code::PayloadTooLarge)).await;
        check(axum::body::Body::empty(), 5, Err(Code::MissingBody)).await;
        check(pieces(&[]), 5, Err(Code::MissingBody)).await;
    }

    #[tokio::test]
    async fn a_body_may_be_left_out_where_it_is_optional() {
        let read = Body::read_optional(Request::new(axum::body::Body::empty()), 5).await;
        assert!(read.unwrap().is_none());
    }
}
