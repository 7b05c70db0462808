//! Connections and answers of the receiver, also those that are not HTTP.
//!
//! Not for: what is asked for (see `behaviour`) and what is remembered (see the receiver itself).

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Shared;
use super::behaviour::End;

const CHUNK_BYTES: usize = 16 * 1024;

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // The set owns the connections: they end with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                shared.state().counts.connections += 1;
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let raw_end = Mutex::new(None);
    let service = service_fn(|request| Box::pin(answer(request, &shared, &raw_end)));
    let mut connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // Without the shutdown, because a reset or a raw answer still needs the socket.
    let _ = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let mut stream = connection.into_parts().io.into_inner();
    let raw_end = raw_end.lock().unwrap_or_else(PoisonError::into_inner).take();
    match raw_end {
        Some(RawEnd { is_reset: true, .. }) => {
            let _ = stream.set_zero_linger();
        }
        Some(RawEnd { bytes, .. }) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        None => {
            let _ = stream.shutdown().await;
        }
    }
}

struct RawEnd {
    bytes: Bytes,
    is_reset: bool,
}

async fn answer(
    request: http::Request<Incoming>,
    shared: &Shared,
    raw_end: &Mutex<Option<RawEnd>>,
) -> io::Result<Response<AnswerBody>> {
    let (parts, body) = request.into_parts();
    let rule = shared.rule(parts.uri.path());
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let call = shared.record(parts, body.clone());
    let behaviour = &rule.behaviour;
    let turn = rule.turn();
    let delay = rule.delay(turn);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let (status, body) = if rule.fails(turn) {
        (behaviour.fail_status, AnswerBody::Whole(Bytes::from_static(b"failing as asked")))
    } else if let Some(status) = rule.refuses(&body) {
        (status, AnswerBody::Whole(Bytes::from_static(b"refused as asked")))
    } else {
        let body = match &behaviour.end {
            End::Answer => AnswerBody::Whole(behaviour.body.clone()),
            End::Reply(reply) => AnswerBody::Whole(reply(&body)),
            End::Hang => std::future::pending().await,
            End::Raw { bytes, is_reset } => {
                *raw_end.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(RawEnd { bytes: bytes.clone(), is_reset: *is_reset });
                return Err(io::Error::other("the connection ends here, as asked"));
            }
            End::Chunks { every, length_bytes } => {
                AnswerBody::Chunks { every: *every, left_bytes: *length_bytes, pause: None }
            }
        };
        (behaviour.status, body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
    response.headers_mut().extend(behaviour.headers.iter().cloned());
    call.answered(response.status());
    Ok(response)
}

enum AnswerBody {
    Whole(Bytes),
    Chunks { every: Duration, left_bytes: Option<u64>, pause: Option<Pin<Box<tokio::time::Sleep>>> },
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        static ZEROS: [u8; CHUNK_BYTES] = [b'0'; CHUNK_BYTES];
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Chunks { every, left_bytes, pause } => {
                let mut length = CHUNK_BYTES;
                if !every.is_zero() {
                    let sleep = pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(*every)));
                    std::task::ready!(sleep.as_mut().poll(cx));
                    *pause = None;
                    length = 1;
                }
                if let Some(left) = left_bytes {
                    length = length.min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= length as u64;
                    if length == 0 {
                        return Poll::Ready(None);
                    }
                }
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&ZEROS[..length])))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Chunks { left_bytes, .. } => *left_bytes == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Chunks { left_bytes: Some(left), .. } => SizeHint::with_exact(*left),
            Self::Chunks { .. } => SizeHint::default(),
        }
    }
}
