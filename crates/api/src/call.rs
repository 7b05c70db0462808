//! One request on its way to its handler: path and query as the table has them, the body read strictly, and
//! answers in JSON.
//!
//! Not for: what the routes do.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::RequestPartsExt;
use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use posthaste_base::limits::REQUEST_BYTES_MAX;
use posthaste_base::{Code, Error, Result};
use posthaste_broker::Broker;
use posthaste_broker::intake::parse_json;
use posthaste_web::{Caller, MediaType, PageRequest, Query};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Api;
use crate::shape::{Shape, outside};
use crate::table::{Row, Takes};

/// How a handler answers.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response>> + Send>>;

pub(crate) struct Call {
    pub(crate) api: Arc<Api>,
    pub(crate) row: &'static Row,
    pub(crate) parts: Parts,
    path: RawPathParams,
    /// None once it was read.
    body: Option<Body>,
}

impl Call {
    /// Lets the caller in, or says why not; the body is not touched before.
    pub(crate) async fn admit(row: &'static Row, api: Arc<Api>, request: Request) -> Result<Self> {
        let (mut parts, body) = request.into_parts();
        if let Some(scope) = row.scope {
            let caller = parts.extensions.get::<Caller>().ok_or_else(|| {
                Error::new(Code::Internal, "this address needs a key, but nothing asks for one")
            })?;
            caller.require(scope)?;
        }
        let path = parts.extract::<RawPathParams>().await.map_err(|error| {
            Error::new(Code::InvalidParameter, "the path cannot be decoded").caused_by(error)
        })?;
        if let Some((name, _)) = path.iter().find(|(_, value)| value.contains('\0')) {
            let error = Error::new(Code::InvalidParameter, "the path holds a NUL");
            return Err(error.field(name).expected("a name or an id"));
        }
        let call = Self { api, row, parts, path, body: Some(body) };
        // Before anything is changed: a parameter that does nothing is a misunderstanding.
        if row.method != Method::GET {
            call.query()?;
        }
        Ok(call)
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.api.broker
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A part of the path.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.path.iter().find(|(found, _)| *found == name).map_or("", |(_, value)| value)
    }

    /// An id in the path.
    pub(crate) fn id<T: std::str::FromStr<Err = Error>>(&self, name: &str) -> Result<T> {
        self.param(name).parse().map_err(|error: Error| error.field(name))
    }

    /// The query, in which only what the table names may be.
    pub(crate) fn query(&self) -> Result<Query<'_>> {
        let known: Vec<&str> = self.row.query.iter().map(|param| param.name).collect();
        Query::parse(self.parts.uri.query(), &known)
    }

    pub(crate) fn page<K: DeserializeOwned>(&self) -> Result<PageRequest<K>> {
        PageRequest::of(self.row.path, &self.query()?)
    }

    /// The body as it came, of whatever type.
    pub(crate) async fn raw(&mut self) -> Result<Option<Bytes>> {
        let body = self.body.take().unwrap_or_default();
        posthaste_web::Body::read_bytes(&self.parts.headers, body, REQUEST_BYTES_MAX).await
    }

    /// The body, which must be JSON and may be left out.
    pub(crate) async fn optional_json(&mut self) -> Result<Option<Bytes>> {
        if MediaType::of(self.headers())? != MediaType::Json {
            return Err(Error::new(
                Code::UnsupportedMediaType,
                "this address does not take that content type",
            )
            .field("content-type")
            .expected("`application/json`"));
        }
        self.raw().await
    }

    pub(crate) async fn json(&mut self) -> Result<Bytes> {
        self.optional_json()
            .await?
            .ok_or_else(|| Error::new(Code::MissingBody, "the body is empty").expected("a JSON object"))
    }

    /// The body, checked against its shape, as a type of the broker's.
    pub(crate) async fn body<T: DeserializeOwned>(&mut self) -> Result<T> {
        let value = self.body_value().await?;
        of_value(value)
    }

    /// The same as data with the names that are used inside.
    pub(crate) async fn body_value(&mut self) -> Result<Value> {
        let (shape, value) = self.shaped().await?;
        shape.read(value)
    }

    /// The body for a type of the broker's that has the names of outside.
    pub(crate) async fn checked<T: DeserializeOwned>(&mut self) -> Result<T> {
        let (shape, value) = self.shaped().await?;
        of_value(shape.check(value)?)
    }

    async fn shaped(&mut self) -> Result<(&'static Shape, Value)> {
        let (Takes::Json(shape) | Takes::OptionalJson(shape)) = self.row.takes else {
            return Err(Error::new(Code::Internal, "this address takes no body"));
        };
        let bytes = match self.row.takes {
            Takes::OptionalJson(_) => self.optional_json().await?.unwrap_or(Bytes::from_static(b"{}")),
            _ => self.json().await?,
        };
        Ok((shape, parse_json(&bytes)?))
    }

    /// An answer in the row's own shape.
    pub(crate) fn answer(&self, out: &impl Serialize) -> Result<Response> {
        let value = to_value(out)?;
        let value = match self.row.gives {
            Some(shape) => shape.write(value),
            None => value,
        };
        Ok(json_response(self.row.status, &value))
    }

    /// Who makes this request, for the records.
    pub(crate) fn caller_name(&self) -> String {
        let caller = self.parts.extensions.get::<Caller>();
        caller.and_then(Caller::key).map_or_else(|| "local".to_owned(), |key| key.name.clone())
    }

    /// One page; `rows` are one more than asked for where there are more, and `key` is what they are ordered by.
    pub(crate) fn answer_page<T: Serialize, K: Serialize>(
        &self,
        rows: Vec<T>,
        limit: usize,
        key: impl Fn(&T) -> K,
    ) -> Result<Response> {
        self.answer(&posthaste_web::Page::of(self.row.path, rows, limit, key))
    }
}

/// What was checked against a shape, as a type of the broker's.
pub(crate) fn of_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value)
        .map_err(|error| Error::new(Code::InvalidParameter, format!("the body cannot be read: {error}")))
}

pub(crate) fn to_value(out: &impl Serialize) -> Result<Value> {
    serde_json::to_value(out)
        .map_err(|error| Error::new(Code::Internal, "the answer could not be written").caused_by(error))
}

pub(crate) fn json_response(status: u16, out: &impl Serialize) -> Response {
    match serde_json::to_vec(out) {
        Ok(text) => json_text(status, text),
        Err(error) => {
            let error = Error::new(Code::Internal, "the answer could not be written").caused_by(error);
            posthaste_web::Problem(error).into_response()
        }
    }
}

/// An answer that is JSON already.
pub(crate) fn json_text(status: u16, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The problem of one item among several, in an answer that holds them all.
pub(crate) fn item_problem(error: Error) -> Value {
    json!({"problem": posthaste_web::problem::document(&outside(error))})
}
