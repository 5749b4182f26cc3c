use std::{
    borrow::Cow,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, header::CONTENT_LENGTH};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::RewrittenBody;
use crate::trail::{Captured, Carried};

/// Applies [`RewriteModel`].
#[derive(Clone, Copy, Debug, Default)]
pub struct RewriteModelLayer;

impl<S> Layer<S> for RewriteModelLayer {
    type Service = RewriteModel<S>;

    fn layer(&self, inner: S) -> RewriteModel<S> {
        RewriteModel { inner }
    }
}

/// Calls the model by the name its deployment knows it under, see the [module](super).
///
/// A wildcard in that name stands for what the group's [wildcards](Captured) stood for. A request that was not
/// inspected, or a deployment without a [model](crate::Deployment::model), changes nothing.
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
        let Some(carried) = Carried::of(request.extensions()) else {
            return self.inner.call(request.map(RewrittenBody::unchanged));
        };
        let model = carried.attempt.as_ref().and_then(|attempt| attempt.deployment.get_model());
        let (Some(model), Some(at)) =
            (model, carried.inspected.as_ref().map(|it| it.model_at.clone()))
        else {
            return self.inner.call(request.map(RewrittenBody::unchanged));
        };
        let filled = carried.captured.as_ref().filter(|_| model.contains('*'));
        let model = filled
            .map_or(Cow::Borrowed(model), |captured: &Captured| Cow::Owned(captured.fill(model)));
        let name = serde_json::Value::from(&*model).to_string();
        // The client sets the length anew, by the body's size hint.
        request.headers_mut().remove(CONTENT_LENGTH);
        self.inner.call(request.map(|body| RewrittenBody::new(body, at, name.into())))
    }
}
