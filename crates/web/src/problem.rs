//! Errors as answers: RFC 9457 problem details, with the code, the place and what to do next.
//!
//! Not for: deciding what is an error. Causes stay here: they are logged once and never sent.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode, Uri};
use posthaste_base::{Code, Error, Violation};
use posthaste_observe::{CorrelationId, correlation};
use serde::Serialize;

/// When to come again after a 503 that does not know better.
const RETRY_SECONDS: u32 = 1;

/// An error on its way to the caller. Handlers return `Result<_, Problem>` and use `?` on `base::Error`.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    next_step: &'a str,
    #[serde(skip_serializing_if = "<[Violation]>::is_empty")]
    violations: &'a [Violation],
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Problem(error) = self;
        log(&error);
        let code = error.code();
        let mut response = body(&error, correlation::current().as_ref()).into_response();
        *response.status_mut() = status(code);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let seconds = error.retry_after_seconds().or((code.http_status() == 503).then_some(RETRY_SECONDS));
        if let Some(seconds) = seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if code == Code::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The problem document of an error, for answers that hold several, such as that to a batch.
pub fn document(error: &Error) -> serde_json::Value {
    serde_json::from_slice(&body(error, None)).unwrap_or_default()
}

/// Answers unknown addresses and methods with problems too. Routers are merged before this, because two that
/// both have a fallback cannot be.
pub fn with_fallbacks(router: Router) -> Router {
    router.fallback(unknown_address).method_not_allowed_fallback(unknown_method)
}

async fn unknown_address(uri: Uri) -> Problem {
    Problem(
        Error::new(Code::NotFound, format!("there is nothing at `{}`", uri.path()))
            .hint("see `/openapi.json` for the addresses that there are"),
    )
}

async fn unknown_method(method: Method, request: Request) -> Problem {
    let path = request.uri().path();
    Problem(Error::new(Code::MethodNotAllowed, format!("`{path}` does not take {method}")))
}

fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn body(error: &Error, correlation_id: Option<&CorrelationId>) -> Vec<u8> {
    let code = error.code();
    let details = Details {
        kind: format!("/errors/{code}"),
        title: code.title(),
        status: code.http_status(),
        code: code.as_str(),
        detail: error.message(),
        field: error.field_name(),
        expected: error.expectation(),
        next_step: error.next_step(),
        violations: error.all_violations(),
        correlation_id: correlation_id.map(CorrelationId::as_str),
    };
    serde_json::to_vec(&details).unwrap_or_default()
}

/// Our own errors need a person; a service that is away will come back; what the caller did wrong is the
/// caller's to read.
fn log(error: &Error) {
    let code = error.code().as_str();
    let cause = error.cause().unwrap_or_default();
    match error.code().http_status() {
        500 => tracing::error!(error.code = code, error.cause = cause, "{error}"),
        501.. => tracing::warn!(error.code = code, error.cause = cause, "{error}"),
        _ => tracing::debug!(error.code = code, error.cause = cause, "{error}"),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    async fn read(response: Response) -> Value {
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_problem_says_what_where_and_what_next_but_not_the_cause() {
        let id = CorrelationId::parse(b"abc").unwrap();
        let error = Error::new(Code::InvalidPayload, "the payload has 1 violation")
            .field("amount")
            .expected("a number above 0")
            .violations(vec![Violation { pointer: "/amount".into(), message: "0 is not above 0".into() }])
            .retry_after(3)
            .caused_by("relation \"secret\" does not exist");
        let response = {
            let _entered = correlation::enter(id);
            Problem(error).into_response()
        };
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "3");
        let expected = json!({
            "type": "/errors/invalid-payload",
            "title": "the payload does not satisfy the schema of its event type",
            "status": 422,
            "code": "invalid-payload",
            "detail": "the payload has 1 violation",
            "field": "amount",
            "expected": "a number above 0",
            "nextStep": "correct each of the listed violations",
            "violations": [{"pointer": "/amount", "message": "0 is not above 0"}],
            "correlationId": "abc",
        });
        assert_eq!(read(response).await, expected);
    }

    #[tokio::test]
    async fn what_does_not_apply_is_left_out() {
        let answer = read(Problem(Error::new(Code::NotFound, "no event `7`")).into_response()).await;
        let fields: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["code", "detail", "nextStep", "status", "title", "type"]);
    }

    #[test]
    fn every_code_has_a_status_that_http_knows() {
        for code in Code::ALL {
            assert_eq!(status(*code).as_u16(), code.http_status());
        }
    }
}
