//! Tower's contract, kept by every layer: one suite, run over each of them and over the stack of all.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::Layer;
use tower_fleet::{
    Deployment,
    balance::{Balance, BalanceLayer, LeastBusy, QueuePolicy},
    body::ReplayBody,
    cooldown::CooldownLayer,
    retry::RetryLayer,
    timeout::TimeoutLayer,
    upstream::Upstream,
};

#[path = "../support/mod.rs"]
mod support;

mod local;
mod suite;

use self::{
    suite::{Contract, Plain},
    support::secs,
};

fn upstream() -> Upstream {
    Upstream::new("http://upstream.example").unwrap()
}

/// Runs the suite over each layer, given the service below it and a deployment to balance over.
macro_rules! contract {
    ($($layer:ident: |$inner:ident, $deployment:pat_param| $stack:expr;)*) => {$(
        mod $layer {
            use super::*;

            fn layer<S: Contract>($inner: S, $deployment: Deployment) -> impl Contract {
                $stack
            }

            #[test]
            fn it_stands_over_a_real_client() {
                let client: Client<HttpConnector, ReplayBody> =
                    Client::builder(TokioExecutor::new()).build_http();
                drop(layer(client, Deployment::new("one")));
            }

            #[tokio::test(start_paused = true)]
            async fn it_calls_only_what_is_ready() {
                suite::calls_only_what_is_ready(layer).await;
            }

            #[tokio::test(start_paused = true)]
            async fn one_handle_makes_many_calls() {
                suite::one_handle_makes_many_calls(layer).await;
            }

            #[tokio::test(start_paused = true)]
            async fn it_wakes_only_when_there_is_something_to_do() {
                suite::wakes_only_when_there_is_something_to_do(layer).await;
            }

            #[tokio::test(start_paused = true)]
            async fn dropped_at_any_await_it_leaves_nothing_behind() {
                suite::dropped_at_any_await_it_leaves_nothing_behind(layer).await;
            }

            #[tokio::test(start_paused = true)]
            async fn a_failed_readiness_is_an_error() {
                suite::a_failed_readiness_is_an_error::<_, Plain>(layer).await;
                suite::a_failed_readiness_is_an_error::<_, tower_fleet::BoxError>(layer).await;
            }

            #[tokio::test(start_paused = true)]
            async fn errors_pass_through_and_never_nest() {
                suite::errors_pass_through::<_, Plain>(layer).await;
                suite::errors_pass_through::<_, tower_fleet::BoxError>(layer).await;
                suite::errors_pass_through::<_, tower_fleet::Error>(layer).await;
            }

            #[tokio::test(start_paused = true)]
            async fn request_and_response_pass_through() {
                suite::request_and_response_pass_through(layer).await;
            }
        }
    )*};
}

contract! {
    balance: |inner, deployment| Balance::new(LeastBusy, [(deployment, inner)]);
    balance_layer: |inner, deployment| BalanceLayer::new(LeastBusy, [(deployment, upstream())]).layer(inner);
    balance_with_queue: |inner, deployment| {
        Balance::new(LeastBusy, [(deployment, inner)]).queue(QueuePolicy::new(8))
    };
    cooldown: |inner, _| CooldownLayer::default().layer(inner);
    retry: |inner, _| RetryLayer::default().layer(inner);
    timeout: |inner, _| TimeoutLayer::new(secs(60)).layer(inner);
    no_timeout: |inner, _| TimeoutLayer::unlimited().layer(inner);
    send_to: |inner, _| upstream().layer(inner);
    stack: |inner, deployment| {
        let inner = TimeoutLayer::new(secs(60)).layer(upstream().layer(inner));
        let inner = CooldownLayer::default().layer(inner);
        RetryLayer::default().layer(Balance::new(LeastBusy, [(deployment, inner)]))
    };
}

#[cfg(feature = "llm")]
contract! {
    meter: |inner, _| tower_fleet::llm::MeterLayer::new().layer(inner);
    verify: |inner, _| tower_fleet::llm::VerifyLayer::new().layer(inner);
}
