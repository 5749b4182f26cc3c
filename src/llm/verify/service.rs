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
use crate::{BoxError, Error, body::KeptBody, outcome::Classify};

/// Finds out whether a response is what was asked for, and what it means when it is not.
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
