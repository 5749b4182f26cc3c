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
use crate::trail::Carried;

/// Applies [`RewriteModel`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RewriteModelLayer {}

impl RewriteModelLayer {
    /// Rewrites the name of the model, and takes out what is not for a deployment.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl<S> Layer<S> for RewriteModelLayer {
    type Service = RewriteModel<S>;

    fn layer(&self, inner: S) -> RewriteModel<S> {
        RewriteModel { inner }
    }
}

/// Prepares the body of a request for its deployment, see the [module](super).
///
/// It calls the model by the name the deployment knows it under, also where the body names none; a wildcard in that name
/// stands for what the group's [wildcards](crate::Captured) stood for. A deployment without a
/// [model](crate::Deployment::model) gets the name that the caller gave. What a body says to a router and not to a
/// deployment is taken out, see [`Inspect`](super::Inspect). A stream is asked for its usage where a
/// [`Meter`](super::Meter) above [wants it](super::MeterLayer::include_usage). All else goes on byte for byte, as slices
/// of the memory it is in. Its `Accept-Encoding` is dropped, as the layers above could not read an answer that is
/// compressed. A request that was not inspected is not changed.
#[derive(Clone, Debug)]
pub struct RewriteModel<S> {
    inner: S,
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
            Some(inspected.edits(name.as_deref(), carried.adds_usage))
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
