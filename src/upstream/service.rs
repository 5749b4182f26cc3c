use std::task::{Context, Poll};

use http::{Request, Version, header::HOST};
use tower_service::Service;

use super::{Upstream, remove_hop_by_hop, remove_private};
use crate::trail::Captured;

/// Sends each request to one [`Upstream`].
#[derive(Clone, Debug)]
pub struct SendTo<S> {
    inner: S,
    to: Upstream,
}

impl<S> SendTo<S> {
    pub(super) const fn new(inner: S, to: Upstream) -> Self {
        Self { inner, to }
    }

    /// Where requests go.
    #[must_use]
    pub const fn upstream(&self) -> &Upstream {
        &self.to
    }
}

impl<S, B> Service<Request<B>> for SendTo<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let to = self.to.0.of_path(request.uri().path());
        let uri = std::mem::take(request.uri_mut());
        *request.uri_mut() = to.target(uri, Captured::of(&request));
        // How the request came says nothing of how it goes on; clients refuse HTTP/2 over an HTTP/1.1 connection.
        *request.version_mut() = Version::default();
        let headers = request.headers_mut();
        if to.hides_client {
            remove_hop_by_hop(headers);
            remove_private(headers);
        }
        headers.remove(HOST);
        for (name, value) in &to.headers {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &to.default_headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        self.inner.call(request)
    }
}
