//! Errors in `OpenAI`'s shape, which its clients turn into exceptions of their own.

use std::{collections::HashMap, time::Duration};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, Method, StatusCode, header::RETRY_AFTER};
use serde::Serialize;
use tower_fleet::{
    Error,
    error::{Refused, RefusedReason},
    llm::InspectError,
    outcome::{Failure, FailureKind},
};

/// What some clients read first, as it is exact.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// An answer of the gateway's own, where no deployment gave one.
#[derive(Debug, Serialize)]
pub(crate) struct ApiError {
    #[serde(skip)]
    status: StatusCode,
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'static str>,
    code: Option<&'static str>,
    #[serde(skip)]
    wait: Option<Duration>,
}

impl ApiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        Self { status, message: message.into(), kind, param: None, code: None, wait: None }
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
            (RefusedReason::Full, _) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, refused.to_string()).code("no_capacity")
            }
            (_, Some(FailureKind::RateLimited | FailureKind::QuotaExhausted)) => {
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
}

impl From<&Error> for ApiError {
    /// The details of a connection that failed are for the log: they name hosts the client need not know.
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
        match Failure::from_error(error).kind() {
            _ if error.is_timeout() => too_slow(error.to_string()),
            FailureKind::Timeout => too_slow("time-out".to_owned()),
            FailureKind::Cancelled => {
                Self::new(StatusCode::BAD_REQUEST, "the request body broke off")
            }
            _ => Self::new(StatusCode::BAD_GATEWAY, "the deployment could not be reached")
                .code("connection_failed"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(HashMap::from([("error", &self)]))).into_response();
        if let Some(wait) = self.wait {
            retry_after(response.headers_mut(), wait);
        }
        response
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
    use super::*;

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
