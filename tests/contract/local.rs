//! What is not `Send` below need not be boxed to stand under a layer: the future is then not `Send` either.

use std::{convert::Infallible, rc::Rc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_fleet::{
    Deployment,
    balance::{Balance, LeastBusy},
    cooldown::CooldownLayer,
    retry::RetryLayer,
    timeout::TimeoutLayer,
};

#[tokio::test]
async fn a_future_that_is_not_send_needs_no_box() {
    let local = service_fn(|_: Request<_>| async {
        let here = Rc::new(200);
        tokio::task::yield_now().await;
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = (*here).try_into().unwrap();
        Ok::<_, Infallible>(response)
    });
    let inner = CooldownLayer::default().layer(TimeoutLayer::unlimited().layer(local));
    let balance = Balance::new(LeastBusy, [(Deployment::new("one"), inner)]);
    let request = Request::new(Full::<Bytes>::default());
    let response = RetryLayer::default().layer(balance).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
}
