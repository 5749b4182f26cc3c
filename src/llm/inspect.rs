use std::{
    collections::HashSet,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{Method, Request, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use self::{
    affinity::Affinity,
    caller::caller,
    collected::Collected,
    headers::{Asked, STRATEGY, wrong},
};
pub use self::{affinity::AffinitySource, error::InspectError};
use super::{
    Count, Endpoint, Estimate, Inspected, Prompt, TokenCounter,
    peek::{Peeked, peek},
};
use crate::{
    BoxError, Error,
    body::ReplayBody,
    trail::{Carried, Demand, Fallbacks, GroupName, Overrides},
};

mod affinity;
mod caller;
mod collected;
mod error;
mod headers;

/// Applies [`Inspect`].
#[derive(Clone)]
pub struct InspectLayer {
    limit: usize,
    /// An [`Estimate`] where there is none.
    counter: Option<Arc<dyn TokenCounter>>,
    /// [`AffinitySource::DEFAULT`] where there are none.
    affinity: Option<Arc<[AffinitySource]>>,
    /// Any name where there are none.
    strategies: Option<Arc<[Arc<str>]>>,
}

impl InspectLayer {
    /// Reads bodies of up to 32 MiB.
    #[must_use]
    pub const fn new() -> Self {
        Self { limit: 32 * 1024 * 1024, counter: None, affinity: None, strategies: None }
    }

    /// The longest body that is read, in bytes; a longer one is refused. Default 32 MiB, room for some images.
    #[must_use]
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// What counts the tokens of the input. An [`Estimate`] by default, for it takes no time.
    #[must_use]
    pub fn counter(mut self, counter: impl TokenCounter + 'static) -> Self {
        self.counter = Some(Arc::new(counter));
        self
    }

    /// What keeps requests together: the first of `sources` that a request has gives its
    /// [`Demand::affinity`]. By default [`PreviousResponse`](AffinitySource::PreviousResponse), then
    /// [`SessionHeader`](AffinitySource::SessionHeader): what a caller asks for, and no guess. A balance acts on it if its
    /// strategy is an [`Affinity`](crate::balance::Affinity).
    #[must_use]
    pub fn affinity(mut self, sources: impl IntoIterator<Item = AffinitySource>) -> Self {
        self.affinity = Some(sources.into_iter().collect());
        self
    }

    /// The names of strategies that a request may ask for, as a [`PerRequest`](crate::balance::PerRequest) knows them: one
    /// that asks for another is refused. By default any name passes, and one that the balance does not know has no
    /// effect.
    #[must_use]
    pub fn strategies<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.strategies = Some(names.into_iter().map(Into::into).collect());
        self
    }

    fn sources(&self) -> &[AffinitySource] {
        self.affinity.as_deref().unwrap_or(AffinitySource::DEFAULT)
    }

    /// The strategy that is asked for.
    fn strategy(
        &self,
        header: Option<Arc<str>>,
        member: Option<&str>,
    ) -> Result<Option<Arc<str>>, InspectError> {
        const UNKNOWN: &str = "names no strategy that requests can be routed by here";
        let is_known = |name: &str| {
            self.strategies.as_ref().is_none_or(|known| known.iter().any(|known| **known == *name))
        };
        match (header, member) {
            (Some(name), _) if is_known(&name) => Ok(Some(name)),
            (Some(_), _) => Err(wrong(&STRATEGY, UNKNOWN)),
            (None, Some(name)) if is_known(name) => Ok(Some(name.into())),
            (None, Some(_)) => {
                Err(InspectError::Member { name: "routing_strategy".to_owned(), reason: UNKNOWN })
            }
            (None, None) => Ok(None),
        }
    }
}

impl fmt::Debug for InspectLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InspectLayer").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Default for InspectLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for InspectLayer {
    type Service = Inspect<S>;

    fn layer(&self, inner: S) -> Inspect<S> {
        Inspect { inner, layer: self.clone() }
    }
}

/// Reads what a request asks for. Only a `POST` is read; other requests pass as they are.
///
/// The body is read whole before the request goes on, and can then be sent again without being recorded. It is read in
/// one pass that builds nothing. A body that comes in one chunk is never copied, one that comes in several once, into
/// one piece.
///
/// | member of the body | header | becomes |
/// |---|---|---|
/// | `model`; may be missing where a layer above has set the group | | the [`GroupName`] |
/// | `stream` | | [`Demand::stream`] |
/// | `max_completion_tokens`, else `max_output_tokens`, else `max_tokens` | | [`Demand::output_tokens`]; none where it is negative |
/// | `messages`, `input`, `prompt`, `suffix`, `system`, `instructions`, `tools`, `functions` | | [`Demand::input_tokens`], by a [`TokenCounter`], and [`Demand::images`] |
/// | `user`, else `metadata.user_id` | | [`Inspected::user`] |
/// | `stream_options.include_usage` | | see [`MeterLayer::include_usage`](super::MeterLayer::include_usage) |
/// | `tags`*, `metadata.tags`* | `x-litellm-tags` | [`Demand::tags`] |
/// | `priority`* | `x-litellm-priority` | [`Demand::priority`] |
/// | `allowed_model_region`* | | [`Demand::region`] |
/// | `previous_response_id` | | [`Demand::continues`] |
/// | `prompt_cache_key` | `x-litellm-session-id` | [`Demand::affinity`], by the [sources](InspectLayer::affinity) |
/// | | `authorization`, else `x-api-key`, else `api-key` (these stay) | [`Demand::caller`], a digest |
/// | `routing_strategy`* | `x-routing-strategy` | [`Demand::strategy`] |
/// | `num_retries`* | `x-litellm-num-retries` | [`Overrides::retries`] |
/// | `timeout`* | `x-litellm-timeout` | [`Overrides::timeout`], in seconds |
/// | `stream_timeout`* | `x-litellm-stream-timeout` | [`Overrides::stream_timeout`], in seconds |
/// | `fallbacks`* | | [`Fallbacks`]: a list of names or of `{"model": name}`; or of `{name: [names]}`, of which the list of the `model` counts, else that of `"*"`, else an empty one |
/// | `disable_fallbacks`* | | [`Fallbacks`] to nothing |
/// | `api_key`, `api_base`, `base_url`, `api_version`, `user_api_key`, `extra_headers`, `context_window_fallbacks`, `content_policy_fallbacks`, `model_group_retry_policy`, `retry_policy`, `cooldown_time`, `specific_deployment`, `mock_response`, `mock_testing_`…, `mock_timeout`, `aws_access_key_id`, `aws_secret_access_key`, `aws_session_token`, `azure_ad_token`, `client_secret`, `custom_llm_provider`, `litellm_credential_name`, `litellm_params`, `model_list`, `request_timeout`, `secret_fields`, `user_config`, `vertex_credentials`, `include_fallback_errors`, `enable_tag_filtering`, `litellm_metadata`, `litellm_session_id`, `litellm_trace_id`, `litellm_call_id`, `litellm_logging_obj`, `cache`, `caching`, `guardrails`, `max_retries`, `no-log`, `proxy_server_request` (all*) | | nothing: they are for LiteLLM's proxy and without effect here |
///
/// Those marked with * are for a router: [`RewriteModel`](super::RewriteModel) takes them out of the body. The headers
/// are taken out here. As in LiteLLM, a header goes before the member, but the member `tags` before the header; the tags
/// in `metadata` are always added. A text as `metadata.tags` is the provider's and stays. [`Demand::endpoint`] is what
/// the path ends in, where that is an [`Endpoint`]. What a layer above has set already, of [`GroupName`], [`Demand`],
/// [`Overrides`] and [`Fallbacks`], stays.
///
/// # Errors
///
/// [`InspectError`]. A member in the table of the wrong type is an error, and so is one that stands twice, for another
/// reader might take the other, but for those without effect; `null` is the same as nothing.
#[derive(Clone, Debug)]
pub struct Inspect<S> {
    inner: S,
    layer: InspectLayer,
}

impl<S, B> Service<Request<B>> for Inspect<S>
where
    S: Service<Request<ReplayBody>> + Clone,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Error::from_service)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let clone = self.inner.clone();
        let mut service = std::mem::replace(&mut self.inner, clone);
        let (head, body) = request.into_parts();
        let state = if head.method == Method::POST {
            let layer = self.layer.clone();
            let reading = Reading { service, head, read: Collected::default(), layer };
            State::Reading { body, reading: Some(reading) }
        } else {
            let body = ReplayBody::new(body, ReplayBody::DEFAULT_LIMIT);
            State::Calling { future: service.call(Request::from_parts(head, body)) }
        };
        ResponseFuture { state }
    }
}

pin_project! {
    /// The response of an [`Inspect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the body or the call.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<ReplayBody>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, B, F> {
        Reading { #[pin] body: B, reading: Option<Reading<S>> },
        Counting { counting: Option<Counting<S>> },
        Calling { #[pin] future: F },
        Done,
    }
}

struct Reading<S> {
    service: S,
    head: Parts,
    read: Collected,
    layer: InspectLayer,
}

/// A request whose tokens are still being counted.
struct Counting<S> {
    service: S,
    request: Request<ReplayBody>,
    demand: Demand,
    tokens: Pin<Box<dyn Future<Output = Option<u64>> + Send>>,
}

impl<S> Reading<S> {
    /// Reads to the end of `body`.
    fn poll_read<B>(
        &mut self,
        cx: &mut Context<'_>,
        mut body: Pin<&mut B>,
    ) -> Poll<Result<(), InspectError>>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let limit = self.layer.limit;
        let announced =
            |body: &Pin<&mut B>| usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let within = |len: usize| {
            if len > limit { Err(InspectError::TooLarge { limit }) } else { Ok(()) }
        };
        within(self.read.len().saturating_add(announced(&body)))?;
        while let Some(frame) = ready!(body.as_mut().poll_frame(cx)) {
            let frame = frame.map_err(|error| InspectError::Body(error.into()))?;
            if let Ok(data) = frame.into_data() {
                let len = self.read.len().saturating_add(data.remaining());
                within(len)?;
                self.read.push(data, announced(&body).min(limit - len));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The request with what it asks for.
    fn finish(self) -> Result<Inspection<S>, InspectError> {
        let Self { service, mut head, read, layer } = self;
        let body = read.finish();
        let opening = layer.sources().contains(&AffinitySource::PromptOpening);
        let mut peeked = peek(&body, opening)?;
        let carried = Carried::entry(&mut head.extensions);
        let model = match (peeked.model.take(), &carried.group) {
            (Some(model), _) => model,
            (None, Some(group)) => group.to_string(),
            (None, None) => return Err(InspectError::NoModel),
        };
        let mut asked = Asked::take(&mut head.headers)?;
        let strategy = layer.strategy(asked.strategy.take(), peeked.strategy.as_deref())?;
        let endpoint = Endpoint::of_path(head.uri.path());
        let caller = caller(&head.headers);
        let Affinity { continues, key, is_guess } =
            Affinity::of(layer.sources(), &peeked, &asked, &head.headers, caller.as_ref());
        let demand = Demand {
            affinity: key,
            affinity_is_guess: is_guess,
            continues,
            caller,
            strategy,
            ..demand_of(&peeked, &asked, endpoint)
        };
        let counted = carried.demand.is_none().then(|| {
            let prompt = Prompt::new(body.clone(), model.clone(), peeked.totals);
            layer.counter.map_or_else(|| Estimate.count(&prompt), |it| it.count(&prompt))
        });
        let fallbacks = if peeked.disable_fallbacks {
            Some(Vec::new())
        } else {
            peeked.fallbacks.map(|named| named.of(&model))
        };
        if let Some(groups) = fallbacks {
            carried.fallbacks.get_or_insert_with(|| Fallbacks::new(groups));
        }
        let (said, headers) = (peeked.overrides, asked.overrides);
        let overrides = Overrides {
            retries: headers.retries.or(said.retries),
            timeout: headers.timeout.or(said.timeout),
            stream_timeout: headers.stream_timeout.or(said.stream_timeout),
        };
        if overrides != Overrides::default() {
            carried.overrides.get_or_insert_with(|| Arc::new(overrides));
        }
        carried.group.get_or_insert_with(|| GroupName::new(model));
        carried.inspected = Some(Arc::new(Inspected {
            endpoint,
            stream: peeked.stream,
            usage_wanted: peeked.usage_wanted,
            model_slot: peeked.model_slot,
            user: peeked.user.map(Into::into),
            cuts: peeked.cuts,
            want_usage: peeked.want_usage,
        }));
        let mut request = Request::from_parts(head, ReplayBody::from(body));
        Ok(match counted {
            None => Inspection::Done(service, request),
            Some(Count::Now(tokens)) => {
                Demand { input_tokens: Some(tokens), ..demand }.set(&mut request);
                Inspection::Done(service, request)
            }
            Some(Count::Later(tokens)) => {
                Inspection::Counting(Counting { service, request, demand, tokens })
            }
        })
    }
}

/// What is known once the body is read.
enum Inspection<S> {
    Done(S, Request<ReplayBody>),
    Counting(Counting<S>),
}

fn demand_of(peeked: &Peeked, asked: &Asked, endpoint: Option<Endpoint>) -> Demand {
    let mut tags = peeked.tags.as_ref().or(asked.tags.as_ref()).cloned().unwrap_or_default();
    let mut seen: HashSet<_> = tags.iter().cloned().collect();
    tags.extend(peeked.metadata_tags.iter().filter(|tag| seen.insert(Arc::clone(tag))).cloned());
    Demand {
        output_tokens: peeked.output_tokens,
        stream: peeked.stream,
        endpoint: endpoint.map(|endpoint| endpoint.path().into()),
        images: peeked.totals.images() > 0,
        tags,
        region: peeked.region.as_deref().map(Into::into),
        priority: asked.priority.or(peeked.priority),
        ..Demand::default()
    }
}

impl<S, B> Future for ResponseFuture<S, B>
where
    S: Service<Request<ReplayBody>>,
    S::Error: Into<BoxError>,
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let read = match state.as_mut().project() {
                Projected::Reading { body, reading: Some(reading) } => {
                    ready!(reading.poll_read(cx, body))
                }
                Projected::Counting { counting: Some(counting) } => {
                    counting.demand.input_tokens = ready!(counting.tokens.as_mut().poll(cx));
                    Ok(())
                }
                Projected::Calling { future } => {
                    return future.poll(cx).map_err(Error::from_service);
                }
                // Polled after its end; that never ends.
                Projected::Reading { .. } | Projected::Counting { .. } | Projected::Done => {
                    return Poll::Pending;
                }
            };
            let next = match state.as_mut().project() {
                Projected::Reading { reading, .. } => {
                    reading.take().map(|reading| read.and_then(|()| reading.finish()))
                }
                Projected::Counting { counting } => counting.take().map(|counted| {
                    let Counting { service, mut request, demand, .. } = counted;
                    demand.set(&mut request);
                    Ok(Inspection::Done(service, request))
                }),
                _ => None,
            };
            match next {
                Some(Ok(Inspection::Done(mut service, request))) => {
                    state.set(State::Calling { future: service.call(request) });
                }
                Some(Ok(Inspection::Counting(counting))) => {
                    state.set(State::Counting { counting: Some(counting) });
                }
                Some(Err(error)) => {
                    state.set(State::Done);
                    return Poll::Ready(Err(Error::from_service(error)));
                }
                None => return Poll::Pending,
            }
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<ReplayBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
