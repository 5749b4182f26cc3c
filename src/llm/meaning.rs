//! What an error body means.
//!
//! The body may quote what the caller wrote. So a kind that sets a deployment aside comes from members that the server
//! fills from a fixed list (`code`, `type`, `status`), or from a text under a status that sets it aside as well; and a
//! text decides only by how it begins, where no caller's words stand.

use std::borrow::Cow;

use http::{Response, StatusCode};
use serde_json::Value;

use super::sse::first_data;
use crate::outcome::{
    Classify, Failure,
    FailureKind::{
        self, BadRequest, ContentPolicy, ContextWindow, NotFound, Overloaded, QuotaExhausted,
        RateLimited, Server, Timeout, Unauthorized,
    },
};

mod blame;

pub(super) use self::blame::Model;

/// `failure`, which the status of a response means, as its body tells of it; none where that says no more. `model` says
/// whose word the model was.
pub(super) fn refined(
    failure: Failure,
    status: StatusCode,
    body: &[u8],
    model: Model,
) -> Option<Failure> {
    let error = ErrorBody::parse(body);
    let kind = error.as_ref().and_then(|error| error.kind(Some(status)));
    let refined = failure.with_kind(kind.unwrap_or(failure.kind()));
    let refined = blame::blamed(refined, Some(status), body, error.as_ref(), model);
    (refined != failure).then_some(refined)
}

/// The failure that an error inside a success tells of: by its code, which may be a status, or else by whom it blames.
pub(super) fn failure_within(body: &[u8], classify: &dyn Classify, model: Model) -> Failure {
    const BLAMES_REQUEST: [&str; 5] = [
        "invalid_request_error",
        "BadRequestError",
        "bad_request",
        "invalid_argument",
        "validation",
    ];
    let by_status = |error: &ErrorBody| {
        let mut response = Response::new(());
        *response.status_mut() = error.status_within()?;
        classify.head(&response.into_parts().0)?.failure().map(|failure| failure.kind())
    };
    let by_blame = |error: &ErrorBody| {
        let blames = error.codes().any(|code| is_one_of(code, &BLAMES_REQUEST));
        blames.then_some(BadRequest)
    };
    let Some(error) = ErrorBody::parse(body) else { return Failure::new(Server) };
    let kind = error.kind(None).or_else(|| by_status(&error)).or_else(|| by_blame(&error));
    let failure = Failure::new(kind.unwrap_or(Server));
    blame::blamed(failure, error.status_within(), body, Some(&error), model)
}

/// The members of an error body that say what it means, wherever each API puts them.
struct ErrorBody {
    /// The whole object.
    outer: Value,
    /// Its `error`, where that is an object; else the whole once more.
    inner: Value,
}

impl ErrorBody {
    fn parse(body: &[u8]) -> Option<Self> {
        let is_object = |text: &[u8]| matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
        // Some servers put an error in an event because a stream was asked for.
        let body =
            if is_object(body) { Cow::Borrowed(body) } else { Cow::Owned(first_data(body)?) };
        if !is_object(&body) {
            return None;
        }
        let mut outer: Value = serde_json::from_slice(&body).ok()?;
        // Gemini wraps its error in a list.
        if let Value::Array(list) = &mut outer {
            outer = list.first_mut()?.take();
        }
        let inner = outer.get("error").filter(|error| error.is_object()).unwrap_or(&outer).clone();
        outer.is_object().then_some(Self { outer, inner })
    }

    /// The kind of failure it tells of; none where it says no more than the status does. Without a status it is an error
    /// reported inside a success.
    fn kind(&self, status: Option<StatusCode>) -> Option<FailureKind> {
        let status = status.or_else(|| self.status_within());
        if let Some(kind) = self.codes().find_map(|code| kind_of_code(code, status)) {
            return Some(kind);
        }
        if self.is_moderation() {
            return Some(ContentPolicy);
        }
        if status == Some(StatusCode::BAD_REQUEST) {
            if self.is_out_of_credit() {
                return Some(QuotaExhausted);
            }
            if self.is_unknown_key() {
                return Some(Unauthorized);
            }
        }
        kind_of_message(self.message()?, status)
    }

    fn status_within(&self) -> Option<StatusCode> {
        let code = self.inner.get("code")?;
        let code = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
        let status = StatusCode::from_u16(u16::try_from(code).ok()?).ok()?;
        (status.is_client_error() || status.is_server_error()).then_some(status)
    }

    /// The machine-readable words, the most exact ones first.
    fn codes(&self) -> impl Iterator<Item = &str> {
        let within = |name: &str, member: &str| self.inner.get(name)?.get(member)?.as_str();
        // Azure's own code tells more than the one around it.
        let azure = [within("innererror", "code"), within("inner_error", "code")];
        let own = ["code", "type", "status"].map(|name| self.inner.get(name)?.as_str());
        let details = self.inner.get("details").and_then(Value::as_array).into_iter().flatten();
        let google = |it: &&Value| it["@type"].as_str().is_some_and(|it| it.ends_with("ErrorInfo"));
        let reasons = details.filter(google).map(|detail| detail.get("reason")?.as_str());
        let routed = within("metadata", "error_type");
        let outer = ["code", "type", "error_type"].map(|name| self.outer.get(name)?.as_str());
        azure.into_iter().chain(own).chain(reasons).chain([routed]).chain(outer).flatten()
    }

    fn message(&self) -> Option<&str> {
        fn member<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
            of.get(name)?.as_str().map(str::trim)
        }
        member(&self.inner, "message")
            .or_else(|| member(&self.outer, "error"))
            .or_else(|| member(&self.outer, "detail"))
    }

    /// OpenRouter's word for an input that its moderation has stopped.
    fn is_moderation(&self) -> bool {
        let metadata = self.inner.get("metadata");
        metadata.is_some_and(|it| it.get("flagged_input").is_some() && it.get("reasons").is_some())
    }

    /// Anthropic's word for an account that may spend no more, which its code does not tell.
    ///
    /// It sets a deployment aside under a status that would not. Anthropic's errors about a request begin with the name
    /// of a member, so no caller's words stand where this does.
    fn is_out_of_credit(&self) -> bool {
        const BEGINNINGS: [&str; 2] = [
            "Your credit balance is too low to access the ",
            "You have reached your specified API usage limits.",
        ];
        let is = |of: &Value, what| of.get("type").and_then(Value::as_str) == Some(what);
        let begins = |message: &str| BEGINNINGS.iter().any(|it| message.starts_with(it));
        is(&self.outer, "error")
            && is(&self.inner, "invalid_request_error")
            && self.message().is_some_and(begins)
    }

    /// xAI's word for a key that it does not know. The like of the one above: in xAI's envelope alone, whose `code` is a
    /// fixed text, and whose errors about a request begin with a text of their own.
    fn is_unknown_key(&self) -> bool {
        let member = |name| self.outer.get(name).and_then(Value::as_str);
        member("code") == Some("Client specified an invalid argument")
            && member("error").is_some_and(|it| it.starts_with("Incorrect API key provided: "))
    }
}

fn is_one_of(code: &str, codes: &[&str]) -> bool {
    codes.iter().any(|other| code.eq_ignore_ascii_case(other))
}

/// What a machine-readable word means, under any status but where it says otherwise.
fn kind_of_code(code: &str, status: Option<StatusCode>) -> Option<FailureKind> {
    let (kind, _) = CODES.iter().find(|(_, codes)| is_one_of(code, codes))?;
    // Groq: one request has more tokens than a minute may have. Waiting does not help it, and no other request suffers.
    let too_large = *kind == RateLimited && status == Some(StatusCode::PAYLOAD_TOO_LARGE);
    (!too_large).then_some(*kind)
}

const CODES: &[(FailureKind, &[&str])] = &[
    (ContextWindow, &["context_length_exceeded", "exceed_context_size_error"]),
    (
        ContentPolicy,
        &[
            "content_filter",
            "contentFilter",
            "content_filter_error",
            "content_policy_violation",
            "ResponsibleAIPolicyViolation",
            "moderation_blocked",
        ],
    ),
    (
        QuotaExhausted,
        &[
            "insufficient_quota",
            "credit_balance_exhausted",
            "billing_hard_limit_reached",
            "billing_not_active",
            "billing_error",
            "budget_exceeded",
            "credit_limit",
        ],
    ),
    (
        Overloaded,
        &[
            "overloaded_error",
            "overloaded",
            "model_overloaded",
            "engine_overloaded",
            "engine_overloaded_error",
            "server_is_overloaded",
            "slow_down",
            "capacity_exceeded",
            "service_unavailable_error",
            "unavailable_error",
            "UNAVAILABLE",
        ],
    ),
    (
        Unauthorized,
        &[
            "invalid_api_key",
            "API_KEY_INVALID",
            "authentication_error",
            "permission_error",
            "UNAUTHENTICATED",
            "PERMISSION_DENIED",
            "auth_error",
            "token_not_found_in_db",
        ],
    ),
    (
        NotFound,
        &[
            "model_not_found",
            "DeploymentNotFound",
            "not_found_error",
            "NotFoundError",
            "NOT_FOUND",
            "invalid_model",
            "unknown_model",
            "model_not_available",
            "model_decommissioned",
        ],
    ),
    (
        RateLimited,
        &[
            "rate_limit_exceeded",
            "rate_limit_error",
            "RateLimitReached",
            "too_many_requests",
            "TooManyRequests",
            "model_rate_limit",
            "throttling_error",
            "RESOURCE_EXHAUSTED",
        ],
    ),
    (Server, &["generation", "incomplete_generation"]),
    (
        Timeout,
        &["timeout", "timeout_error", "request_timeout", "TimeoutError", "DEADLINE_EXCEEDED"],
    ),
];

/// What a message means by how it begins, under the statuses it comes with.
fn kind_of_message(message: &str, status: Option<StatusCode>) -> Option<FailureKind> {
    let fits = |statuses: &[u16]| match status {
        Some(status) => statuses.contains(&status.as_u16()),
        None => statuses == FAULT,
    };
    let rule = MESSAGES.iter().find(|(_, statuses, beginning, then)| {
        let rest = message.strip_prefix(beginning);
        fits(statuses) && rest.is_some_and(|rest| rest.contains(then))
    });
    rule.map(|(kind, ..)| *kind)
}

/// A request at fault.
const FAULT: &[u16] = &[400, 403, 413, 422];

/// A server that has too much to do, whatever its message says.
const LOAD: &[u16] = &[429, 500, 502, 503, 529];

/// The kind, the statuses, how the message begins and what must follow. None of the kinds sets a deployment aside under
/// a status that would not.
const MESSAGES: &[(FailureKind, &[u16], &str, &str)] = &[
    (ContextWindow, FAULT, "This model's maximum context length is ", " tokens"),
    (ContextWindow, FAULT, "This endpoint's maximum context length is ", " tokens"),
    (ContextWindow, FAULT, "Your input exceeds the context window of this model", ""),
    (ContextWindow, FAULT, "Invalid 'messages[", ".content': string too long. Expected"),
    (ContextWindow, FAULT, "Invalid 'input", "': string too long. Expected"),
    (ContextWindow, FAULT, "prompt is too long: ", " tokens > "),
    (ContextWindow, FAULT, "input length and `max_tokens` exceed context limit: ", " > "),
    (ContextWindow, FAULT, "The decoder prompt (length ", "longer than the maximum model length"),
    (
        ContextWindow,
        FAULT,
        "'max_tokens' or 'max_completion_tokens' is too large: ",
        "context length",
    ),
    (ContextWindow, FAULT, "You passed ", " input tokens and requested "),
    (
        ContextWindow,
        FAULT,
        "Input validation error: `inputs` tokens + `max_new_tokens` must be",
        "",
    ),
    (ContextWindow, FAULT, "Input validation error: `inputs` must have less than ", " tokens"),
    (ContextWindow, FAULT, "The input token count ", "exceeds the maximum number of tokens"),
    (ContextWindow, FAULT, "Prompt contains ", "too large for model with "),
    (ContextWindow, FAULT, "The prompt is too long: ", "model maximum context length: "),
    (ContextWindow, FAULT, "The input (", "is longer than the model's context length"),
    (ContextWindow, FAULT, "prompt too long; exceeded max context length", ""),
    (ContextWindow, FAULT, "the request exceeds the available context size", ""),
    (ContextWindow, FAULT, "the input length exceeds the context length", ""),
    (ContextWindow, FAULT, "This model's maximum prompt length is ", "but the request contains"),
    (ContextWindow, FAULT, "Input is too long for requested model", ""),
    (ContextWindow, FAULT, "too many tokens: ", ""),
    (ContextWindow, FAULT, "litellm.ContextWindowExceededError: ", ""),
    (ContentPolicy, FAULT, "litellm.ContentPolicyViolationError: ", ""),
    (ContentPolicy, FAULT, "Your request was rejected as a result of our safety system", ""),
    (ContentPolicy, FAULT, "Invalid prompt: your prompt was flagged as potentially violating", ""),
    (ContentPolicy, FAULT, "Output blocked by content filtering policy", ""),
    (ContentPolicy, FAULT, "Content Exists Risk", ""),
    (ContentPolicy, FAULT, "Content violates usage guidelines", ""),
    (Overloaded, LOAD, "The model is overloaded", ""),
    (Overloaded, LOAD, "Model is overloaded", ""),
    (Overloaded, LOAD, "That model is currently overloaded", ""),
    (Overloaded, LOAD, "The engine is currently overloaded", ""),
    (QuotaExhausted, &[429, 403], "You exceeded your current quota", ""),
];

#[cfg(test)]
mod tests;
