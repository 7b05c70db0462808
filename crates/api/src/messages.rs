//! Messages of a queue: send, receive, settle, give back, extend, peek.
//!
//! The busiest routes. Payloads are neither parsed into a tree nor copied: what is JSON stays the text that was
//! sent. Not for: queues themselves (see `queues`).

mod shapes;
mod sizes;
mod wire;

use std::borrow::Cow;
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use http::Method;
use posthaste_base::limits::{BATCH_MESSAGES_MAX, LONG_POLL_SECONDS_MAX, PAGE_MAX};
use posthaste_base::{Code, Error, QueueId, Result};
use posthaste_broker::intake::unknown_field;
use posthaste_broker::{Message, Receipt, Settlement};
use posthaste_web::Scope;
use serde_json::{Value, json};

use crate::call::{Call, item_problem, json_response};
use crate::shape::{Kind, outside};
use crate::table::{Row, Takes, param, run};

pub(crate) use self::shapes::MESSAGES_IN;
use self::shapes::{
    EXTEND, EXTENDED, GIVE_BACK, MESSAGE_IN, PEEKED, RECEIVE, RECEIVED, SEND, SENT, SETTLE, SETTLED,
};
pub(crate) use self::sizes::Sizes;
use self::wire::{MessageBody, Messages, ReceiptsBody, ReceiveBody, SendBody, lean, message_out, peeked_out};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        Method::POST,
        "/queues/{queue}/messages",
        "sendMessages",
        "Sends one message, or up to 1,000 as `{\"messages\": [...]}`. All are accepted, or none.",
        run!(send),
    )
    .needs(Scope::Publish)
    .takes(Takes::Messages(&MESSAGE_IN))
    .gives(202, &SENT),
    Row::new(
        Method::POST,
        "/queues/{queue}/receive",
        "receiveMessages",
        "Leases messages, 4 MiB of them at most. Each comes again unless it is settled before its visibility timeout.",
        run!(receive),
    )
    .needs(Scope::Consume)
    .takes(Takes::OptionalJson(&RECEIVE))
    .gives(200, &RECEIVED),
    Row::new(
        Method::POST,
        "/queues/{queue}/settle",
        "settleMessages",
        "Ends messages: each by itself. 200 when all were settled, 207 when some were not.",
        run!(settle),
    )
    .needs(Scope::Consume)
    .takes(Takes::Json(&SETTLE))
    .gives(200, &SETTLED),
    Row::new(
        Method::POST,
        "/queues/{queue}/give-back",
        "giveBackMessages",
        "Gives messages back, to be received again after a delay. It counts as a receive.",
        run!(give_back),
    )
    .needs(Scope::Consume)
    .takes(Takes::Json(&GIVE_BACK))
    .gives(200, &SETTLED),
    Row::new(
        Method::POST,
        "/queues/{queue}/extend",
        "extendLease",
        "Gives one message more time, counted from now.",
        run!(extend),
    )
    .needs(Scope::Consume)
    .takes(Takes::Json(&EXTEND))
    .gives(200, &EXTENDED),
    Row::new(
        Method::GET,
        "/queues/{queue}/peek",
        "peekMessages",
        "The next messages, without a lease: looking changes nothing.",
        run!(peek),
    )
    .query(&[param("max", Kind::Int(1, PAGE_MAX as i64), "How many at most; 10 when it is left out.")])
    .gives(200, &PEEKED),
];

async fn send(mut call: Call) -> Result<Response> {
    let body = call.json().await?;
    let sent: SendBody<'_> = lean(&body, &SEND)?;
    let SendBody { messages, payload, payload_base64, attributes, delay_seconds } = sent;
    let one = MessageBody { payload, payload_base64, attributes, delay_seconds };
    let is_one = one.payload.is_some() || one.payload_base64.is_some();
    let messages = match messages {
        Some(_) if is_one || one.attributes.is_some() || one.delay_seconds.is_some() => {
            return Err(Error::new(Code::InvalidParameter, "the body is one message and many at once")
                .field("messages")
                .expected("`messages`, or the fields of one message"));
        }
        Some(messages) => messages,
        None => vec![one],
    };
    check_count("messages", messages.len())?;
    let n_messages = messages.len();
    let messages = messages.into_iter().enumerate().map(|(at, message)| {
        let place = || if n_messages == 1 { String::new() } else { format!("messages.{at}.") };
        message.read(&body).map_err(|error| {
            let field = format!("{}{}", place(), error.field_name().unwrap_or("payload"));
            error.field(field)
        })
    });
    let messages = messages.collect::<Result<Vec<_>>>()?;
    let ids = call.broker().send(call.param("queue"), messages).await?;
    Ok(json_response(202, &json!({"ids": ids})))
}

async fn receive(mut call: Call) -> Result<Response> {
    let body = call.optional_json().await?.unwrap_or(Bytes::from_static(b"{}"));
    let ReceiveBody { max_messages, visibility_seconds, wait_seconds } = lean(&body, &RECEIVE)?;
    if wait_seconds > LONG_POLL_SECONDS_MAX {
        return Err(Error::new(Code::InvalidParameter, format!("{wait_seconds} s is too long to wait"))
            .field("waitSeconds")
            .expected(format!("0 to {LONG_POLL_SECONDS_MAX}")));
    }
    let wait = Duration::from_secs(wait_seconds.into());
    let queue = call.broker().catalog().queue(call.param("queue"))?.clone();
    let sizes = &call.api.sizes;
    // What is out of range is the broker's to refuse.
    let is_allowed = (1..=BATCH_MESSAGES_MAX).contains(&max_messages);
    let max = if is_allowed { sizes.allow(queue.id, max_messages) } else { max_messages };
    let mut messages = call.broker().receive(&queue.name, max, visibility_seconds, wait).await?;
    let fitting = sizes.fit(queue.id, messages.iter().map(size_of));
    let others = messages.split_off(fitting);
    if !others.is_empty() {
        // Nobody has seen them, so it is no receive. Should this fail, they come again when their lease runs out.
        let put_off = others.iter().map(|message| Settlement::deferred(message.receipt, 0)).collect();
        drop(call.broker().conclude(put_off).await);
    }
    Ok(json_response(200, &Messages { messages: messages.iter().map(message_out).collect() }))
}

async fn settle(mut call: Call) -> Result<Response> {
    let body = call.json().await?;
    let texts: ReceiptsBody<'_> = lean(&body, &SETTLE)?;
    if texts.delay_seconds != 0 {
        return Err(unknown_field("", "delaySeconds", ["receipts"]).hint("`give-back` takes a delay"));
    }
    let (receipts, wrong) = read_receipts(&call, &texts.receipts)?;
    let results = call.broker().settle(receipts).await?;
    Ok(answer_results(&texts.receipts, wrong, results))
}

async fn give_back(mut call: Call) -> Result<Response> {
    let body = call.json().await?;
    let texts: ReceiptsBody<'_> = lean(&body, &GIVE_BACK)?;
    let (receipts, wrong) = read_receipts(&call, &texts.receipts)?;
    let results = call.broker().give_back(receipts, texts.delay_seconds).await?;
    Ok(answer_results(&texts.receipts, wrong, results))
}

async fn extend(mut call: Call) -> Result<Response> {
    let body = call.body_value().await?;
    let queue = call.broker().catalog().queue(call.param("queue"))?.id;
    let receipt = read_receipt(queue, body["receipt"].as_str().unwrap_or_default())?;
    let seconds = body["seconds"].as_u64().and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0);
    let until = call.broker().extend(receipt, seconds).await?;
    Ok(json_response(200, &json!({"leasedUntil": until})))
}

async fn peek(call: Call) -> Result<Response> {
    let max = call.query()?.number("max", 1..=PAGE_MAX as i64)?.unwrap_or(10);
    let queue = call.broker().catalog().queue(call.param("queue"))?.clone();
    let sizes = &call.api.sizes;
    let mut peeked = call.broker().peek(&queue.name, sizes.allow(queue.id, max as usize)).await?;
    peeked.truncate(sizes.fit(queue.id, peeked.iter().map(|message| message.payload.len())));
    Ok(json_response(200, &Messages { messages: peeked.iter().map(peeked_out).collect() }))
}

/// What a message has in an answer, about.
fn size_of(message: &Message) -> usize {
    let attributes = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let event = message.event.as_ref().map_or(0, |event| attributes(&event.attributes));
    message.payload.len() + attributes(&message.attributes) + event
}

fn check_count(field: &str, count: usize) -> Result<()> {
    match (1..=BATCH_MESSAGES_MAX).contains(&count) {
        true => Ok(()),
        false => Err(Error::new(Code::InvalidParameter, format!("{count} at once are not allowed"))
            .field(field)
            .expected(format!("1 to {BATCH_MESSAGES_MAX}"))),
    }
}

/// The receipts that can be read, and for each of all either nothing or what is wrong with it.
fn read_receipts(call: &Call, texts: &[Cow<'_, str>]) -> Result<(Vec<Receipt>, Vec<Option<Error>>)> {
    check_count("receipts", texts.len())?;
    let queue = call.broker().catalog().queue(call.param("queue"))?.id;
    let mut receipts = Vec::with_capacity(texts.len());
    let wrong =
        texts.iter().map(|text| read_receipt(queue, text).map(|receipt| receipts.push(receipt)).err());
    let wrong = wrong.collect();
    Ok((receipts, wrong))
}

fn read_receipt(queue: QueueId, text: &str) -> Result<Receipt> {
    let receipt: Receipt = text.parse()?;
    match receipt.queue() == queue {
        true => Ok(receipt),
        false => Err(Error::new(Code::InvalidParameter, "the receipt is of a message of another queue")
            .field("receipt")
            .hint("send it to the queue that the message was received from")),
    }
}

fn answer_results(texts: &[Cow<'_, str>], wrong: Vec<Option<Error>>, results: Vec<Result<()>>) -> Response {
    let mut results = results.into_iter();
    let mut is_whole = true;
    let written = texts.iter().zip(wrong).map(|(text, wrong)| {
        let error = wrong.or_else(|| results.next().and_then(Result::err));
        let mut written = match error {
            Some(error) => {
                is_whole = false;
                item_problem(outside(error))
            }
            None => json!({}),
        };
        written["receipt"] = Value::from(text.as_ref());
        written
    });
    let written: Vec<Value> = written.collect();
    json_response(if is_whole { 200 } else { 207 }, &json!({"results": written}))
}
