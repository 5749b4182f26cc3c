//! A request's way to the fleet, and the answer's way back.

use std::sync::Arc;

use axum::{body::Body, extract::Request, response::Response};
use http::{Method, Uri};
use tower::ServiceExt;
use tower_fleet::{GroupName, Served, body::WatchedBody, trail::Step};

use crate::{
    coalesce::Coalesced,
    errors::ApiError,
    explain,
    gateway::{Asked, Gateway},
    headers,
    log::Line,
};

/// Sends `request` to `endpoint` of the deployment the fleet picks, from `group` where the path named one.
///
/// The request is made anew, so that nothing of the incoming one goes on by accident. Its query does not: no endpoint has
/// one, and some clients put their key there.
///
/// What the answer costs is known when its body has ended, so it is in the log and in `/fleet`, and in no header.
pub(crate) async fn forward(
    gateway: Arc<Gateway>,
    endpoint: Uri,
    group: Option<GroupName>,
    mut request: Request,
) -> Response {
    let explain = explain::Asked::take(&mut request);
    let (head, body) = request.into_parts();
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = Method::POST;
    *outgoing.uri_mut() = endpoint;
    *outgoing.headers_mut() = head.headers;
    headers::to_deployment(outgoing.headers_mut());
    if let Some(group) = group {
        group.set(&mut outgoing);
    }

    let asked = Asked::default();
    outgoing.extensions_mut().insert(asked.clone());
    let trail = explain.trail(&mut outgoing);
    let service = gateway.service.clone();
    let mut line = Line::new(gateway, head.method, head.uri.path(), asked, trail.clone());

    match service.oneshot(outgoing).await {
        Ok(response) => {
            let served = Served::of(&response).map(|served| served.deployment().clone());
            let (mut head, body) = response.into_parts();
            line.answered(head.status);
            headers::to_client(&mut head.headers);
            headers::tell(&mut head.headers, served.as_ref(), &trail);
            explain.tell(&mut head.headers, &trail);
            // Inside of what watches, so that an end which is logged is one that was passed on.
            let body = Coalesced::new(body);
            let body = WatchedBody::of_response(&Method::POST, head.status, body, line);
            Response::from_parts(head, Body::new(body))
        }
        Err(error) => {
            let answer = ApiError::from(&error);
            line.failed(answer.status(), &error);
            let mut response = answer.answer_to(head.uri.path());
            let attempts = trail.attempts();
            let last = attempts.last().and_then(Step::deployment);
            headers::tell(response.headers_mut(), last, &trail);
            explain.tell(response.headers_mut(), &trail);
            response
        }
    }
}
