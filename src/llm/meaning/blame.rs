//! How sure it is that a failure is the deployment's, and not that of the one request.
//!
//! What cools at once sets a deployment aside for all callers, and what comes of a request comes of it on each deployment
//! it is tried on. So one request must not do that unless the body has a word on the deployment itself.

use super::{
    ErrorBody, Failure,
    FailureKind::{NotFound, RateLimited, Unauthorized},
    StatusCode, is_one_of,
};
use crate::trail::Carried;

/// Whose word it is which model a deployment was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::llm) enum Model {
    /// The deployment's own.
    Fixed,
    /// The caller's, through a wildcard.
    OfCaller,
    /// The request was not inspected: it may be none for a model.
    #[default]
    NotRead,
}

impl Model {
    /// Whose word the model was that the deployment of this attempt is asked for.
    pub(in crate::llm) fn of(carried: Option<&Carried>) -> Self {
        let Some(carried) = carried.filter(|carried| carried.inspected.is_some()) else {
            return Self::NotRead;
        };
        let own = carried.attempt.as_ref().and_then(|attempt| attempt.deployment.get_model());
        let fixed = carried.captured.is_none() || own.is_some_and(|own| !own.contains('*'));
        if fixed { Self::Fixed } else { Self::OfCaller }
    }
}

pub(super) const MODEL_CODES: &[&str] = &[
    "model_not_found",
    "DeploymentNotFound",
    "invalid_model",
    "unknown_model",
    "model_not_available",
    "model_decommissioned",
];

/// How a message begins that says that the model is gone, and what must follow.
pub(super) const MODEL_MESSAGES: &[(&str, &str)] = &[
    ("The model ", " does not exist"),
    ("Publisher Model ", " was not found"),
    ("Model not found, inaccessible, and/or not deployed", ""),
    ("model: ", ""),
    ("models/", " is not found"),
    ("model '", "' not found"),
    ("model \"", "\" not found"),
];

pub(super) const KEY_CODES: &[&str] = &[
    "invalid_api_key",
    "API_KEY_INVALID",
    "authentication_error",
    "UNAUTHENTICATED",
    "token_expired",
    "ACCESS_TOKEN_EXPIRED",
    "auth_error",
    "token_not_found_in_db",
];

/// How a message begins that says that the key is not accepted.
pub(super) const KEY_MESSAGES: &[&str] = &[
    "Incorrect API key provided",
    "The API key you provided is invalid",
    "Your API key was reported as leaked",
    "The security token included in the request is ",
];

/// `failure` with as much blame for the deployment as its body bears out.
pub(super) fn blamed(
    failure: Failure,
    status: Option<StatusCode>,
    body: &[u8],
    error: Option<&ErrorBody>,
    model: Model,
) -> Failure {
    let has = |what: fn(&ErrorBody) -> bool| error.is_some_and(what);
    let by_status = || {
        matches!(status, Some(StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED))
    };
    match failure.kind() {
        NotFound if is_unknown_path(body, error) => failure.blameless(),
        RateLimited if has(ErrorBody::is_too_large) => failure.with_retry_after(None).blameless(),
        _ if model == Model::NotRead => failure,
        NotFound if model == Model::OfCaller || !has(ErrorBody::names_model) => failure.doubtful(),
        Unauthorized if !by_status() && !has(ErrorBody::names_key) => failure.doubtful(),
        _ => failure,
    }
}

impl ErrorBody {
    fn names_model(&self) -> bool {
        self.codes().any(|code| is_one_of(code, MODEL_CODES))
            || self.begins(|message| {
                let rest = |beginning| message.strip_prefix(beginning);
                MODEL_MESSAGES
                    .iter()
                    .any(|(start, then)| rest(*start).is_some_and(|it| it.contains(then)))
            })
    }

    fn names_key(&self) -> bool {
        self.codes().any(|code| is_one_of(code, KEY_CODES))
            || self.begins(|message| KEY_MESSAGES.iter().any(|it| message.starts_with(it)))
    }

    /// One request has more tokens than a minute may have: waiting does not help it, and no other request suffers.
    fn is_too_large(&self) -> bool {
        self.begins(|message| {
            message
                .strip_prefix("Request too large for ")
                .is_some_and(|it| it.contains(", Requested "))
        })
    }

    fn begins(&self, so: impl FnOnce(&str) -> bool) -> bool {
        self.message().is_some_and(so)
    }
}

/// Whether a body says that the server has no such path, rather than no such model: then it is the request that went
/// astray, and others are served as before.
fn is_unknown_path(body: &[u8], error: Option<&ErrorBody>) -> bool {
    let body = body.trim_ascii();
    if body.is_empty() || UNKNOWN_PATH.iter().any(|text| body == text.as_bytes()) {
        return true;
    }
    let Some(error) = error else { return false };
    let mut codes = error.codes();
    let message = error.message().unwrap_or_default();
    UNKNOWN_PATH.contains(&message)
        || message.starts_with("Invalid URL (")
        || codes
            .any(|code| code == "unknown_url" || code == "404" && message == "Resource not found")
}

/// The body or its message, as a whole: of servers in Go (Ollama), those in Python (vLLM), and llama.cpp.
const UNKNOWN_PATH: [&str; 3] = ["404 page not found", "Not Found", "File Not Found"];
