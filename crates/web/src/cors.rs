//! Which web pages of other origins may call from a browser. None, unless configured.
//!
//! Not for: access. A page that may call still needs a key.

use std::time::Duration;

use axum::Router;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use posthaste_base::{Code, Error, Result};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

use crate::correlation::X_CORRELATION_ID;

/// How long a browser may keep the answer to a preflight.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cors {
    /// No page of another origin.
    #[default]
    None,
    /// Any page. Only sensible where keys are required.
    Any,
    Origins(Vec<HeaderValue>),
}

impl Cors {
    /// Reads a configured list: `*`, or origins such as `https://app.example.com`.
    pub fn parse<T: AsRef<str>>(origins: &[T]) -> Result<Self> {
        match origins {
            [] => Ok(Cors::None),
            [any] if any.as_ref() == "*" => Ok(Cors::Any),
            _ => Ok(Cors::Origins(origins.iter().map(|text| origin(text.as_ref())).collect::<Result<_>>()?)),
        }
    }

    pub fn allows(&self, origin: &HeaderValue) -> bool {
        match self {
            Cors::None => false,
            Cors::Any => true,
            Cors::Origins(origins) => origins.contains(origin),
        }
    }

    /// Answers preflights and marks answers, around all routes of a router.
    pub fn around(&self, router: Router) -> Router {
        let origins = match self {
            Cors::None => return router,
            Cors::Any => AllowOrigin::any(),
            Cors::Origins(origins) => AllowOrigin::list(origins.iter().cloned()),
        };
        // `*` would not cover `authorization`, so what the caller asks for is granted by name.
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(AllowHeaders::list([AUTHORIZATION, CONTENT_TYPE].into_iter().chain(OWN_HEADERS)))
            .expose_headers(ExposeHeaders::list([X_CORRELATION_ID.clone(), RETRY_AFTER]))
            .max_age(PREFLIGHT_MAX_AGE);
        router.layer(layer)
    }
}

/// The headers of our own, and of CloudEvents in binary mode, that a page may send.
const OWN_HEADERS: [HeaderName; 14] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-correlation-id"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("posthaste-type"),
    HeaderName::from_static("ce-id"),
    HeaderName::from_static("ce-source"),
    HeaderName::from_static("ce-specversion"),
    HeaderName::from_static("ce-type"),
    HeaderName::from_static("ce-subject"),
    HeaderName::from_static("ce-time"),
    HeaderName::from_static("ce-datacontenttype"),
    HeaderName::from_static("ce-dataschema"),
];

fn origin(text: &str) -> Result<HeaderValue> {
    let wrong = || {
        Error::new(Code::InvalidConfig, format!("`{text}` is not an origin"))
            .field("cors_origins")
            .expected("`*` alone, or origins such as `https://app.example.com`, without a path")
    };
    let host = text.strip_prefix("https://").or(text.strip_prefix("http://")).ok_or_else(wrong)?;
    if host.is_empty() || host.contains(['/', '*', '@', '?', '#']) {
        return Err(wrong());
    }
    HeaderValue::from_str(text).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_and_others_refused() {
        assert_eq!(Cors::parse::<&str>(&[]).unwrap(), Cors::None);
        assert_eq!(Cors::parse(&["*"]).unwrap(), Cors::Any);
        let cors = Cors::parse(&["https://a.example", "http://localhost:3000"]).unwrap();
        assert!(cors.allows(&HeaderValue::from_static("http://localhost:3000")));
        assert!(!cors.allows(&HeaderValue::from_static("http://localhost:3001")));
    }

    #[test]
    fn what_is_not_an_origin_is_named() {
        for wrong in
            ["a.example", "https://", "https://a.example/", "https://*.example", "ftp://a", "https://a\n"]
        {
            let error = Cors::parse(&["https://ok.example", wrong]).unwrap_err();
            assert_eq!(
                (error.code(), error.field_name()),
                (Code::InvalidConfig, Some("cors_origins")),
                "{wrong}"
            );
        }
        assert!(Cors::parse(&["*", "https://a.example"]).is_err());
    }
}
