use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Extensions, Method, Request, Response, header::CONTENT_LENGTH, response::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    body::{Format, MeteredBody},
    errors::Errors,
    report::{OnUsage, Report},
};
use crate::{
    Deployment,
    llm::{Inspected, PriceList, content_type, meaning::Model},
    outcome::Classify,
    trail::{Answered, Carried},
};

/// Applies [`Meter`].
#[derive(Clone, Default)]
pub struct MeterLayer {
    on_usage: Option<Arc<dyn OnUsage>>,
    classify: Option<Arc<dyn Classify>>,
    include_usage: bool,
    prices: Option<Arc<PriceList>>,
}

impl MeterLayer {
    /// Counts for the deployments and the trail.
    #[must_use]
    pub const fn new() -> Self {
        Self { on_usage: None, classify: None, include_usage: false, prices: None }
    }

    /// Tells `on_usage` too what each answer took. By default nothing else is told.
    #[must_use]
    pub fn on_usage(mut self, on_usage: impl OnUsage + 'static) -> Self {
        self.on_usage = Some(Arc::new(on_usage));
        self
    }

    /// Asks for the usage at the end of each stream (`stream_options.include_usage`), where neither the caller does nor
    /// the [deployment](crate::Deployment::stream_usage) says, and [hides](Meter#usage-that-nobody-asked-for) it from the
    /// caller. Off by default, because not every server knows the option.
    ///
    /// That goes for chat completions and completions; other endpoints give the usage unasked. It takes an
    /// [`Inspect`](crate::llm::Inspect) above, and a [`RewriteModel`](crate::llm::RewriteModel) below.
    #[must_use]
    pub const fn include_usage(mut self, include: bool) -> Self {
        self.include_usage = include;
        self
    }

    /// Where to look for the price of a deployment that has none of its [own](Deployment::price) and whose model has a
    /// wildcard: there by the name that is filled in, as its [provider](Deployment::provider) serves it, where that is
    /// known. By default its answers have no price.
    #[must_use]
    pub fn prices(mut self, prices: Arc<PriceList>) -> Self {
        self.prices = Some(prices);
        self
    }

    /// What a status means that an [error within an answer](Meter#errors-within-an-answer) names. By default what
    /// [`HttpClassify::inference`](crate::outcome::HttpClassify::inference) says.
    #[must_use]
    pub fn classify(mut self, classify: impl Classify) -> Self {
        self.classify = Some(Arc::new(classify));
        self
    }
}

impl MeterLayer {
    /// Whether to ask for the usage of the stream on behalf of this attempt; those below learn it.
    fn adds_usage(&self, extensions: &mut Extensions) -> bool {
        let Some(carried) = extensions.get_mut::<Carried>() else { return false };
        let deployment = carried.attempt.as_ref().map(|attempt| &attempt.deployment);
        let own = deployment.and_then(Deployment::get_stream_usage);
        let can = carried.inspected.as_ref().is_some_and(|inspected| inspected.can_add_usage());
        carried.adds_usage = can && own.unwrap_or(self.include_usage);
        carried.adds_usage
    }
}

impl<S> Layer<S> for MeterLayer {
    type Service = Meter<S>;

    fn layer(&self, inner: S) -> Meter<S> {
        Meter { inner, layer: self.clone() }
    }
}

impl fmt::Debug for MeterLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeterLayer")
            .field("on_usage", &self.on_usage.is_some())
            .finish_non_exhaustive()
    }
}

/// Counts the tokens of each answer as it passes, and what they cost.
///
/// It reads JSON and event streams of OpenAI's chat completions, completions, responses and embeddings, of Anthropic's
/// messages, and of the many servers that speak like one of them; only answers to a `POST`, and only those whose status
/// is a success. Nothing is buffered, split or delayed for it, whatever the chunks. At the end of the body the
/// [`Deployment`](crate::Deployment::usage) that answered gets the tokens, the [`Trail`](crate::Trail) gets them for
/// that [step](crate::trail::Step::spent), and [`on_usage`](MeterLayer::on_usage) is called. The last needs no other
/// layer:
///
/// ```
/// use http::{Request, Response, header::CONTENT_TYPE};
/// use http_body_util::BodyExt;
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_fleet::{BoxError, llm};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let client = service_fn(|_: Request<String>| async {
///     let answer = r#"{"choices": [], "usage": {"prompt_tokens": 19, "completion_tokens": 10}}"#;
///     Response::builder().header(CONTENT_TYPE, "application/json").body(answer.to_owned())
/// });
/// let (tell, told) = std::sync::mpsc::channel();
/// let meter = llm::MeterLayer::new().on_usage(move |metered: &llm::Metered<'_>| {
///     let _ = tell.send(metered.usage);
/// });
///
/// let request = Request::post("/v1/chat/completions").body(String::new())?;
/// meter.layer(client).oneshot(request).await?.into_body().collect().await?;
/// let usage = told.recv()?.expect("the answer tells");
/// assert_eq!((usage.input, usage.output), (19, 10));
/// # Ok(())
/// # }
/// ```
///
/// Where the balance above picks by [`Affinity`](crate::balance::Affinity), that learns who gave which of OpenAI's
/// responses, and how much of the input a deployment's [cache](crate::Deployment::cached_share) saved.
///
/// # What is estimated, and what is unknown
///
/// Where an answer is cut off, or tells no tokens, its output is estimated by its text: four bytes are a token, as in
/// English. The count of a stream's chunks would be cheaper, but servers put any number of tokens in one. The input is
/// then the estimate of the [`Demand`](crate::Demand::input_tokens), 0 without one. Such a usage is marked
/// [`estimated`](crate::deployment::Usage::estimated). What a provider has told before the cut stands, and only the
/// text after it is estimated.
///
/// An answer in a `Content-Encoding` is not read, nor is one that is neither JSON nor an event stream by its
/// `Content-Type`, or without one by what an inspected request asks for: its usage is unknown, which is not 0, and it is
/// not in the totals. So send requests without `Accept-Encoding`. Of an answer to a path that is no known [`Endpoint`](crate::llm::Endpoint), nothing is estimated.
///
/// # Errors within an answer
///
/// A stream that has begun well may still tell of an error, and so may JSON under a status of success: by a member
/// `error`, or an event of the type `error` or `response.failed`. It goes to the caller as it is, but the answer is not
/// [`whole`](crate::llm::Metered::whole), and a [`Cooldown`](crate::cooldown::Cooldown) above takes it for the failure
/// that it is: for the health of the deployment and the [`Trail`](crate::Trail).
///
/// # Usage that nobody asked for
///
/// OpenAI's streams tell their tokens only if asked to. Where this layer [asks](MeterLayer::include_usage) for a caller
/// who did not, the chunk that has the usage and no choices is taken out of the stream, unless it has members that
/// OpenAI's has not, such as Perplexity's `citations`: those may be news to the caller. No other byte changes; an event that comes in
/// several chunks is held as long as it may turn out to be that one, a few hundred bytes mostly.
#[derive(Clone)]
pub struct Meter<S> {
    inner: S,
    layer: MeterLayer,
}

impl<S: fmt::Debug> fmt::Debug for Meter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for Meter<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Response = Response<MeteredBody<R>>;
    type Error = S::Error;
    type Future = MeterFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Whatever else is asked of such an API takes no tokens.
        let asked = (request.method() == Method::POST).then(|| {
            let hides = self.layer.adds_usage(request.extensions_mut());
            Asked {
                report: Report::new(
                    request.uri(),
                    request.extensions(),
                    self.layer.prices.clone(),
                    self.layer.on_usage.clone(),
                ),
                format: Inspected::of(&request).and_then(content_type::Format::asked),
                hides,
                model: Model::of(Carried::of(request.extensions())),
                classify: self.layer.classify.clone(),
            }
        });
        MeterFuture { future: self.inner.call(request), asked }
    }
}

/// What the answer is read for.
struct Asked {
    report: Report,
    /// What was asked for; none where that is not known.
    format: Option<content_type::Format>,
    hides: bool,
    model: Model,
    classify: Option<Arc<dyn Classify>>,
}

impl Asked {
    fn meter<R: Body>(self, head: &mut Parts, body: R) -> MeteredBody<R> {
        let failed = Answered::of(&head.extensions)
            .and_then(|answered| answered.outcome)
            .is_some_and(|outcome| outcome.failure().is_some());
        if failed || !head.status.is_success() {
            return MeteredBody::unmetered(body);
        }
        let late = Answered::entry(&mut head.extensions).late.get_or_insert_default().clone();
        let errors = Errors::new(late, self.classify, self.model);
        let format = Format::of(&head.headers, self.format, self.hides, &errors)
            .telling(self.report.answerer());
        if self.hides && matches!(format, Format::Events(_)) {
            head.headers.remove(CONTENT_LENGTH);
        }
        MeteredBody::new(body, format, self.report, errors)
    }
}

pin_project! {
    /// The response of a [`Meter`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call; nothing is counted.
    pub struct MeterFuture<F> {
        #[pin]
        future: F,
        asked: Option<Asked>,
    }
}

impl<F, R, E> Future for MeterFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<MeteredBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut head, body) = ready!(this.future.poll(cx))?.into_parts();
        let body = match this.asked.take() {
            Some(asked) => asked.meter(&mut head, body),
            None => MeteredBody::unmetered(body),
        };
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}

impl<F> fmt::Debug for MeterFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeterFuture").finish_non_exhaustive()
    }
}
