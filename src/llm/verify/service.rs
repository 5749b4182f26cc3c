use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{VerifyFuture, reading::Asked};
#[cfg(doc)]
use crate::outcome::FailureKind as K;
use crate::{BoxError, Error, body::KeptBody, outcome::Classify};

/// Finds out whether a response is what was asked for, and what it means when it is not.
///
/// A layer for each deployment, below what judges its attempts and right above the client. It reads the beginning of a
/// response before it hands the response on, whole and unchanged:
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_fleet::{
///     Error, cooldown::CooldownLayer, deployment::{Cause, Status}, llm::VerifyLayer, outcome::FailureKind,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let client = service_fn(|_: Request<()>| async {
///     let body = r#"{"error": {"code": "billing_hard_limit_reached", "message": "Pay first."}}"#;
///     let mut response = Response::new(Full::new(Bytes::from(body)));
///     *response.status_mut() = StatusCode::BAD_REQUEST;
///     Ok::<_, Error>(response)
/// });
/// let service = CooldownLayer::default().layer(VerifyLayer::new().layer(client));
/// service.clone().oneshot(Request::new(())).await?;
///
/// // A 400 alone would have been the request's fault.
/// let Status::Cooling { cause, .. } = service.health().status() else { panic!("it is not cooling") };
/// assert_eq!(cause, Cause::Failed(FailureKind::QuotaExhausted));
/// # Ok(())
/// # }
/// ```
///
/// # Failures
///
/// The body of a status from 400 up is read, up to 64 KiB and for 2 s at most, and refines the kind of failure; the
/// status and the delay stay those of the [classifier](super::VerifyLayer::classify). Beyond these limits, or where the
/// body says nothing that is known, the status alone decides. Words are compared as a whole:
///
/// | kind | `code`, `type`, `status` or the like of the body | known from |
/// |---|---|---|
/// | [`ContextWindow`](K::ContextWindow) | `context_length_exceeded` | OpenAI, Azure, Groq, OpenRouter |
/// | | `exceed_context_size_error` | llama.cpp |
/// | [`ContentPolicy`](K::ContentPolicy) | `content_policy_violation`, `moderation_blocked` | OpenAI, OpenRouter |
/// | | `content_filter`, `contentFilter`, `content_filter_error`, `ResponsibleAIPolicyViolation` inside | Azure |
/// | | `reasons` and `flagged_input` in `metadata` | OpenRouter |
/// | [`QuotaExhausted`](K::QuotaExhausted) | `insufficient_quota`, `credit_balance_exhausted`, `billing_hard_limit_reached`, `billing_not_active` | OpenAI, Azure |
/// | | `billing_error` | Anthropic |
/// | | `budget_exceeded` | LiteLLM |
/// | | `credit_limit` | Together |
/// | [`Overloaded`](K::Overloaded) | `overloaded_error` | Anthropic |
/// | | `server_is_overloaded`, `slow_down`, `service_unavailable_error`, `engine_overloaded`, `engine_overloaded_error`, `model_overloaded` | OpenAI and those like it |
/// | | `overloaded` | TGI |
/// | | `unavailable_error` | llama.cpp |
/// | | `UNAVAILABLE` | Gemini |
/// | | `capacity_exceeded` | Groq |
/// | [`Unauthorized`](K::Unauthorized) | `invalid_api_key` | OpenAI, Groq, Together |
/// | | `authentication_error`, `permission_error` | Anthropic, llama.cpp, DeepSeek |
/// | | `UNAUTHENTICATED`, `PERMISSION_DENIED`, `API_KEY_INVALID` as the reason of a detail | Gemini |
/// | | `auth_error`, `token_not_found_in_db` | LiteLLM |
/// | [`NotFound`](K::NotFound) | `model_not_found` | OpenAI, Groq |
/// | | `DeploymentNotFound` | Azure |
/// | | `not_found_error` | Anthropic, Ollama |
/// | | `NotFoundError` | vLLM |
/// | | `NOT_FOUND` | Gemini, Fireworks |
/// | | `invalid_model`, `unknown_model` | Mistral |
/// | | `model_decommissioned` | Groq |
/// | | `model_not_available` | Together |
/// | [`RateLimited`](K::RateLimited), but not under a 413 | `rate_limit_exceeded` | OpenAI, Groq |
/// | | `RateLimitReached`, `too_many_requests`, `TooManyRequests` | Azure |
/// | | `rate_limit_error` | Anthropic |
/// | | `model_rate_limit` | Together |
/// | | `RESOURCE_EXHAUSTED` | Gemini |
/// | | `throttling_error` | LiteLLM |
/// | [`Timeout`](K::Timeout) | `timeout`, `timeout_error`, `request_timeout`, `TimeoutError`, `DEADLINE_EXCEEDED` | Azure, Anthropic, LiteLLM, Gemini |
/// | [`Server`](K::Server) | `generation`, `incomplete_generation` | TGI |
///
/// Some APIs say it in the message alone. A message decides only by how it begins, so that what the caller wrote and the
/// server quotes cannot set a deployment aside:
///
/// | kind | statuses | the message begins |
/// |---|---|---|
/// | `ContextWindow` | 400, 403, 413, 422 | `This model's maximum context length is … tokens` (OpenAI, vLLM, DeepSeek) |
/// | | | `Your input exceeds the context window of this model` (OpenAI) |
/// | | | `Invalid 'messages[….content': string too long. Expected`, `Invalid 'input…': string too long. Expected` (OpenAI) |
/// | | | `prompt is too long: … tokens > `, ``input length and `max_tokens` exceed context limit: `` (Anthropic) |
/// | | | `The decoder prompt (length … longer than the maximum model length`, `'max_tokens' or 'max_completion_tokens' is too large: … context length`, `You passed … input tokens and requested ` (vLLM) |
/// | | | `The input (… is longer than the model's context length` (SGLang) |
/// | | | ``Input validation error: `inputs` tokens + `max_new_tokens` must be``, ``Input validation error: `inputs` must have less than … tokens`` (TGI, Together) |
/// | | | `The input token count … exceeds the maximum number of tokens` (Gemini) |
/// | | | `Prompt contains … too large for model with ` (Mistral) |
/// | | | `The prompt is too long: … model maximum context length: ` (Fireworks) |
/// | | | `This endpoint's maximum context length is … tokens` (OpenRouter) |
/// | | | `the request exceeds the available context size` (llama.cpp) |
/// | | | `the input length exceeds the context length`, `prompt too long; exceeded max context length` (Ollama) |
/// | | | `This model's maximum prompt length is … but the request contains` (xAI) |
/// | | | `Input is too long for requested model` (Bedrock), `too many tokens: ` (Cohere) |
/// | | | `litellm.ContextWindowExceededError: ` (LiteLLM) |
/// | `ContentPolicy` | the same | `Your request was rejected as a result of our safety system`, `Invalid prompt: your prompt was flagged as potentially violating` (OpenAI) |
/// | | | `Output blocked by content filtering policy` (Anthropic) |
/// | | | `Content Exists Risk` (DeepSeek) |
/// | | | `Content violates usage guidelines` (xAI) |
/// | | | `litellm.ContentPolicyViolationError: ` (LiteLLM) |
/// | `Overloaded` | 429, 500, 502, 503, 529 | `The model is overloaded` (Gemini), `Model is overloaded` (TGI), `That model is currently overloaded`, `The engine is currently overloaded` (OpenAI) |
/// | `QuotaExhausted` | 403, 429 | `You exceeded your current quota` (OpenAI) |
/// | | 400 | `Your credit balance is too low to access the `, `You have reached your specified API usage limits.` (Anthropic, in its own envelope) |
/// | `Unauthorized` | 400 | `Incorrect API key provided: ` (xAI, in its own envelope) |
///
/// An error in an event of a stream is read as one without.
///
/// # What one request may do
///
/// What cools at once sets a deployment aside for all callers. So that no caller's bad request sets a whole group aside,
/// it does so only with a word on the deployment itself; without one, the failures of an inspected request just
/// [count](crate::outcome::Cools::Counts):
///
/// | kind | cools at once |
/// |---|---|
/// | `NotFound` | with the code `model_not_found`, `DeploymentNotFound`, `invalid_model`, `unknown_model`, `model_not_available` or `model_decommissioned` |
/// | | with a message that begins `The model … does not exist` (vLLM, xAI), `model: ` (Anthropic), `models/… is not found` (Gemini), `Publisher Model … was not found` (Vertex), `model '…' not found`, `model "…" not found` (Ollama), `Model not found, inaccessible, and/or not deployed` (Fireworks) |
/// | | but never where a wildcard made the model the caller's word |
/// | `Unauthorized` | by the status 401 or 407 |
/// | | with the code `invalid_api_key`, `API_KEY_INVALID`, `authentication_error`, `UNAUTHENTICATED`, `token_expired`, `ACCESS_TOKEN_EXPIRED`, `auth_error` or `token_not_found_in_db` |
/// | | with a message that begins `Incorrect API key provided`, `The API key you provided is invalid` (Fireworks), `Your API key was reported as leaked` (Gemini), `The security token included in the request is ` (Bedrock) |
///
/// Two say that nothing is wrong with the deployment, and do it no harm at all, though the request is still tried
/// elsewhere. A body that says that the server does not have the path: an empty one, `Not Found` (vLLM's and its like),
/// `404 page not found` (Ollama), `File Not Found` (llama.cpp), `Invalid URL (…` (OpenAI), the code `unknown_url` (Groq),
/// or the code `404` with `Resource not found` (Azure). And a 429 for a request that is larger than its limit is ever,
/// `Request too large for …, Requested …` (OpenAI, Groq): what it says of a delay is not heeded, as waiting does not help.
///
/// # Successes
///
/// The answer to an inspected `POST` is handed on once its first bytes have come and are those of what was asked for:
/// JSON, by its content type (or none) and its first character, or an event stream, by its content type (or none) and
/// its first field. Otherwise it is [`Error::Malformed`](crate::Error::Malformed), and none of it reaches the caller. A
/// body that breaks off before is [`Error::Truncated`](crate::Error::Truncated): an error and not the response, so that
/// a real answer of another attempt goes before it, and the caller is not sent a success that cannot be read. Of an
/// encoded body only the content type is judged; of an endpoint that is not [known](crate::llm::Endpoint), that it is no
/// web page.
///
/// A JSON body that begins as an error object, or has one among its members and comes in one chunk, is the failure it
/// means, and so is an event stream whose first event is an error:
/// by the tables above, else by the status its `code` gives, else the request's if its `type` says so, else the
/// server's. The response stays intact, for the case that there is no better one.
///
/// So the head waits for the first chunk, within the limit of a [`Timeout`](crate::timeout::Timeout) above. A comment
/// counts as one: servers send it to keep the connection alive, so it must not be held back. Later chunks pass at once,
/// with one exception:
///
/// Where the plan of a [`Fallback`](crate::fallback::Fallback) has a list for `ContentPolicy`, an answer that the
/// provider's filter has withheld is a failure of that kind: each `finish_reason` or the reason in `incomplete_details`
/// is `content_filter`, or the `stop_reason` is `refusal`. Only then a JSON answer is read to its end first, up to
/// 1 MiB; and a stream is held until something of it has come that a caller would see, so it begins with its first
/// content. What comes before that are roles, results of filters, the beginnings of messages and blocks, and comments: all
/// of it is handed on with the content, after 16 KiB or 48 events at the latest. An error event among it is the failure
/// it means, as if it were the first.
#[derive(Clone)]
pub struct Verify<S> {
    inner: S,
    classify: Arc<dyn Classify>,
}

impl<S> Verify<S> {
    pub(super) fn new(inner: S, classify: Arc<dyn Classify>) -> Self {
        Self { inner, classify }
    }
}

impl<S, B, R> Service<Request<B>> for Verify<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Response = Response<KeptBody<R>>;
    type Error = Error;
    type Future = VerifyFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Error::from_service)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let asked = Asked::of(&request);
        VerifyFuture::new(self.inner.call(request), Arc::clone(&self.classify), asked)
    }
}

impl<S: fmt::Debug> fmt::Debug for Verify<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify").field("inner", &self.inner).finish_non_exhaustive()
    }
}
