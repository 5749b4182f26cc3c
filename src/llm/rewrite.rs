use std::{
    borrow::Cow,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    Request,
    header::{ACCEPT_ENCODING, CONTENT_LENGTH},
};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::RewrittenBody;
use crate::{Deployment, trail::Carried};

/// Applies [`RewriteModel`].
#[derive(Clone, Copy, Debug, Default)]
pub struct RewriteModelLayer {
    include_usage: bool,
}

impl RewriteModelLayer {
    /// Rewrites the name of the model, and takes out what is not for a deployment.
    #[must_use]
    pub const fn new() -> Self {
        Self { include_usage: false }
    }

    /// Asks for the usage at the end of each stream (`stream_options.include_usage`), where neither the caller does nor
    /// the [deployment](crate::Deployment::stream_usage) says. Off by default, because not every server knows the option.
    ///
    /// That goes for chat completions and completions; other endpoints give the usage unasked. The caller then gets an
    /// event it did not ask for, unless a layer above takes it out, see
    /// [`Inspected::usage_is_added`](super::Inspected::usage_is_added).
    #[must_use]
    pub const fn include_usage(mut self, include: bool) -> Self {
        self.include_usage = include;
        self
    }
}

impl<S> Layer<S> for RewriteModelLayer {
    type Service = RewriteModel<S>;

    fn layer(&self, inner: S) -> RewriteModel<S> {
        RewriteModel { inner, include_usage: self.include_usage }
    }
}

/// Prepares the body of a request for its deployment, see the [module](super).
///
/// It calls the model by the name the deployment knows it under, also where the body names none; a wildcard in that name
/// stands for what the group's [wildcards](crate::Captured) stood for. A deployment without a
/// [model](crate::Deployment::model) gets the name that the caller gave. What a body says to a router and not to a deployment is taken out, see
/// [`Inspect`](super::Inspect). All else goes on byte for byte, as slices of the memory it is in. Its `Accept-Encoding` is
/// dropped, as the layers above could not read an answer that is compressed. A request that was not inspected is not
/// changed.
#[derive(Clone, Debug)]
pub struct RewriteModel<S> {
    inner: S,
    include_usage: bool,
}

impl<S, B> Service<Request<B>> for RewriteModel<S>
where
    S: Service<Request<RewrittenBody<B>>>,
    B: Body<Data = Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let edits = Carried::of(request.extensions()).and_then(|carried| {
            let name = model_of(carried).map(|name| serde_json::Value::from(name).to_string());
            let inspected = carried.inspected.as_ref()?;
            let deployment = carried.attempt.as_ref().map(|attempt| &attempt.deployment);
            let own = deployment.and_then(Deployment::get_stream_usage);
            Some(inspected.edits(name.as_deref(), own.unwrap_or(self.include_usage)))
        });
        if edits.is_some() {
            // The layers above could not read an answer that is compressed.
            request.headers_mut().remove(ACCEPT_ENCODING);
        }
        let edits = edits.unwrap_or_default();
        if !edits.is_empty() {
            // The client sets the length anew, by the body's size hint.
            request.headers_mut().remove(CONTENT_LENGTH);
        }
        self.inner.call(request.map(|body| RewrittenBody::new(body, edits)))
    }
}

/// The name under which the deployment knows the model.
fn model_of(carried: &Carried) -> Option<Cow<'_, str>> {
    let model = carried.attempt.as_ref()?.deployment.get_model()?;
    Some(match &carried.captured {
        Some(captured) if model.contains('*') => Cow::Owned(captured.fill(model)),
        _ => Cow::Borrowed(model),
    })
}

#[cfg(test)]
mod tests;
