//! Errors in the shape of the API that was asked, which its clients turn into exceptions of their own.

use std::time::Duration;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;
use tower_fleet::{
    Error,
    error::{Refused, RefusedReason},
    llm::InspectError,
    outcome::{Failure, FailureKind},
};

/// What some clients read first, as it is exact.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// What OpenAI says of an account whose money is spent, as code and as type.
const INSUFFICIENT_QUOTA: &str = "insufficient_quota";

/// An answer of the gateway's own, where no deployment gave one.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
    param: Option<&'static str>,
    code: Option<&'static str>,
    wait: Option<Duration>,
}

/// What an error looks like.
#[derive(Clone, Copy)]
enum Shape {
    OpenAi,
    Anthropic,
}

impl Shape {
    /// The shape that whoever asks at `path` expects: Anthropic's API is `/messages` and what is below.
    fn at(path: &str) -> Self {
        let path = path.strip_prefix("/v1").unwrap_or(path);
        match path.strip_prefix("/messages") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Self::Anthropic,
            _ => Self::OpenAi,
        }
    }

    /// The error's `type`.
    fn kind(self, status: StatusCode, code: Option<&str>) -> &'static str {
        match (self, status.as_u16()) {
            (Self::OpenAi, 429) if code == Some(INSUFFICIENT_QUOTA) => INSUFFICIENT_QUOTA,
            (_, 429) => "rate_limit_error",
            (Self::OpenAi, 500..) => "server_error",
            (Self::Anthropic, 401) => "authentication_error",
            (Self::Anthropic, 404) => "not_found_error",
            (Self::Anthropic, 413) => "request_too_large",
            (Self::Anthropic, 503) => "overloaded_error",
            (Self::Anthropic, 504) => "timeout_error",
            (Self::Anthropic, 500..) => "api_error",
            _ => "invalid_request_error",
        }
    }
}

impl ApiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, code: None, wait: None }
    }

    const fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    const fn of_model(mut self) -> Self {
        self.param = Some("model");
        self
    }

    const fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.wait = wait;
        self
    }

    pub(crate) fn no_route(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is nothing at {path}")).code("unknown_url")
    }

    pub(crate) fn wrong_method(method: &Method, path: &str) -> Self {
        let message = format!("{path} does not take {method}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message).code("method_not_allowed")
    }

    /// Says the same of a wrong key as of none.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "this needs the gateway's key").code("invalid_api_key")
    }

    pub(crate) fn encoded(encoding: &str) -> Self {
        let message =
            format!("a body with content-encoding {encoding} cannot be read; send it without");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).code("unsupported_content_encoding")
    }

    pub(crate) fn no_model(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("no model is named {name:?}"))
            .of_model()
            .code("model_not_found")
    }

    fn refused(refused: &Refused) -> Self {
        let status = match (refused.reason(), refused.cause()) {
            (RefusedReason::UnknownGroup, _) => {
                return Self::new(StatusCode::NOT_FOUND, refused.to_string())
                    .of_model()
                    .code("model_not_found");
            }
            (RefusedReason::Deadline, _) => {
                return Self::new(StatusCode::GATEWAY_TIMEOUT, refused.to_string()).code("timeout");
            }
            (RefusedReason::ContextWindow, _) => {
                return Self::new(StatusCode::BAD_REQUEST, refused.to_string())
                    .code("context_length_exceeded");
            }
            (RefusedReason::Unsupported, _) => {
                return Self::new(StatusCode::BAD_REQUEST, refused.to_string())
                    .of_model()
                    .code("unsupported_by_model");
            }
            (RefusedReason::TooLarge, _) => {
                return Self::new(StatusCode::PAYLOAD_TOO_LARGE, refused.to_string())
                    .code("request_too_large");
            }
            (RefusedReason::Full, _) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, refused.to_string()).code("no_capacity")
            }
            (RefusedReason::Budget, _) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, refused.to_string())
                    .code(INSUFFICIENT_QUOTA)
            }
            (RefusedReason::Limited, _)
            | (RefusedReason::QueueFull | RefusedReason::QueueTimeout, None)
            | (_, Some(FailureKind::RateLimited | FailureKind::QuotaExhausted)) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, refused.to_string())
                    .code("rate_limit_exceeded")
            }
            _ => Self::new(StatusCode::SERVICE_UNAVAILABLE, refused.to_string())
                .code("no_deployment_available"),
        };
        status.retry_after(refused.wait())
    }

    fn inspected(error: &InspectError) -> Self {
        let bad = Self::new(StatusCode::BAD_REQUEST, error.to_string());
        match error {
            InspectError::NoModel => bad.of_model().code("missing_required_parameter"),
            InspectError::TooLarge { .. } => {
                Self { status: StatusCode::PAYLOAD_TOO_LARGE, ..bad }.code("request_too_large")
            }
            _ => bad,
        }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer to a request for `path`.
    pub(crate) fn answer_to(&self, path: &str) -> Response {
        let Self { status, message, param, code, wait } = self;
        let shape = Shape::at(path);
        let kind = shape.kind(*status, *code);
        let body = match shape {
            Shape::OpenAi => {
                json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
            }
            Shape::Anthropic => {
                json!({"type": "error", "error": {"type": kind, "message": message}})
            }
        };
        let mut response = (*status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = wait {
            retry_after(headers, *wait);
        }
        if *status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<&Error> for ApiError {
    /// The details of a connection that failed, or of an answer that made no sense, are for the log: they speak of hosts
    /// the client need not know.
    fn from(error: &Error) -> Self {
        if let Some(refused) = error.as_refused() {
            return Self::refused(refused);
        }
        if let Some(error) = InspectError::of(error) {
            return Self::inspected(error);
        }
        let too_slow = |limit: String| {
            let message = format!("the deployment was too slow: {limit}");
            Self::new(StatusCode::GATEWAY_TIMEOUT, message).code("timeout")
        };
        let bad = |message: &str, code| Self::new(StatusCode::BAD_GATEWAY, message).code(code);
        match error {
            Error::Malformed(_) => {
                return bad(
                    "the deployment's answer is not what was asked for",
                    "malformed_response",
                );
            }
            Error::Truncated(_) => {
                return bad("the deployment's answer broke off", "connection_failed");
            }
            _ => {}
        }
        match Failure::from_error(error).kind() {
            _ if error.is_timeout() => too_slow(error.to_string()),
            FailureKind::Timeout => too_slow("time-out".to_owned()),
            FailureKind::Cancelled => {
                Self::new(StatusCode::BAD_REQUEST, "the request body broke off")
            }
            _ => bad("the deployment could not be reached", "connection_failed"),
        }
    }
}

/// Says how long to wait: exactly, and in the whole seconds every client knows. Both are rounded up, as a client that
/// comes back too early is only refused again.
pub(crate) fn retry_after(headers: &mut HeaderMap, wait: Duration) {
    let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    headers.insert(RETRY_AFTER, millis.div_ceil(1000).into());
    headers.insert(RETRY_AFTER_MS, millis.into());
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_shape_is_that_of_the_path() {
        for path in ["/messages", "/v1/messages", "/v1/messages/count_tokens"] {
            assert!(matches!(Shape::at(path), Shape::Anthropic), "{path}");
        }
        for path in ["/", "/v1", "/v1/chat/completions", "/v1/messagesome", "/v1/models/messages"] {
            assert!(matches!(Shape::at(path), Shape::OpenAi), "{path}");
        }
    }

    async fn answer(error: &Error, path: &str) -> (u16, Value) {
        let response = ApiError::from(error).answer_to(path);
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn what_no_deployment_can_do_is_the_requests_own_mistake() {
        for (reason, param, code) in [
            (RefusedReason::ContextWindow, Value::Null, "context_length_exceeded"),
            (RefusedReason::Unsupported, "model".into(), "unsupported_by_model"),
        ] {
            let error = Error::from(Refused::new(reason).in_group(Some("m".into())));
            let message = error.to_string();
            let kind = "invalid_request_error";
            let (status, body) = answer(&error, "/v1/chat/completions").await;
            let expected =
                json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
            assert_eq!((status, body), (400, expected));
            let (status, body) = answer(&error, "/v1/messages").await;
            let expected = json!({"type": "error", "error": {"type": kind, "message": message}});
            assert_eq!((status, body), (400, expected));
        }
    }

    #[tokio::test]
    async fn of_a_malformed_answer_only_the_log_says_more() {
        let error = Error::from(tower_fleet::error::Malformed::new("text/html from 10.0.0.1"));
        let (status, body) = answer(&error, "/v1/chat/completions").await;
        assert_eq!((status, &body["error"]["code"]), (502, &"malformed_response".into()));
        assert!(!body.to_string().contains("10.0.0.1"), "{body}");
        let (status, body) = answer(&error, "/v1/messages").await;
        assert_eq!((status, &body["error"]["type"]), (502, &"api_error".into()));
        assert!(!body.to_string().contains("10.0.0.1"), "{body}");
    }

    #[test]
    fn a_wait_is_rounded_up() {
        let told = |nanos| {
            let mut headers = HeaderMap::new();
            retry_after(&mut headers, Duration::from_nanos(nanos));
            (headers[RETRY_AFTER].clone(), headers[RETRY_AFTER_MS].clone())
        };
        assert_eq!(told(6_000_000_000), (6.into(), 6000.into()));
        assert_eq!(told(6_000_000_001), (7.into(), 6001.into()));
        assert_eq!(told(1), (1.into(), 1.into()));
        assert_eq!(told(0), (0.into(), 0.into()));
    }
}
