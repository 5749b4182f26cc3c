use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Method, Request, Response, header::CONTENT_LENGTH, response::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    body::{Format, MeteredBody},
    report::{OnUsage, Report},
};
use crate::trail::{Answered, Carried};

/// Applies [`Meter`].
#[derive(Clone, Default)]
pub struct MeterLayer {
    on_usage: Option<Arc<dyn OnUsage>>,
}

impl MeterLayer {
    /// Counts for the deployments and the trail.
    #[must_use]
    pub const fn new() -> Self {
        Self { on_usage: None }
    }

    /// Tells `on_usage` too what each answer took. By default nothing else is told.
    #[must_use]
    pub fn on_usage(mut self, on_usage: impl OnUsage + 'static) -> Self {
        self.on_usage = Some(Arc::new(on_usage));
        self
    }
}

impl<S> Layer<S> for MeterLayer {
    type Service = Meter<S>;

    fn layer(&self, inner: S) -> Meter<S> {
        Meter { inner, on_usage: self.on_usage.clone() }
    }
}

impl fmt::Debug for MeterLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeterLayer")
            .field("on_usage", &self.on_usage.is_some())
            .finish_non_exhaustive()
    }
}

/// Counts the tokens of each answer, see the [module](crate::llm#usage).
#[derive(Clone)]
pub struct Meter<S> {
    inner: S,
    on_usage: Option<Arc<dyn OnUsage>>,
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

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Whatever else is asked of such an API takes no tokens.
        let asked = (request.method() == Method::POST).then(|| {
            let extensions = request.extensions();
            let inspected = Carried::of(extensions).and_then(|carried| carried.inspected.as_ref());
            Asked {
                report: Report::new(request.uri(), extensions, self.on_usage.clone()),
                hides: inspected.is_some_and(|inspected| inspected.usage_is_added()),
            }
        });
        MeterFuture { future: self.inner.call(request), asked }
    }
}

/// What the answer is read for.
#[derive(Debug)]
struct Asked {
    report: Report,
    hides: bool,
}

impl Asked {
    fn meter<R: Body>(self, head: &mut Parts, body: R) -> MeteredBody<R> {
        let failed = Answered::of(&head.extensions)
            .and_then(|answered| answered.outcome)
            .is_some_and(|outcome| outcome.failure().is_some());
        if failed || !head.status.is_success() {
            return MeteredBody::unmetered(body);
        }
        let format = Format::of(&head.headers, self.hides);
        if self.hides && matches!(format, Format::Events(_)) {
            head.headers.remove(CONTENT_LENGTH);
        }
        MeteredBody::new(body, format, self.report)
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
