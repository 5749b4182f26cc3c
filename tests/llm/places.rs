//! Dropped at any await, the response gives its place back.

use std::{future::Future, pin::pin};

use http_body_util::BodyExt;
use tokio_test::task;
use tower_fleet::fallback::FallbackPlan;

use super::*;

/// Polls `future` through so many steps of time at most; then it is dropped.
async fn give_up_after<F: Future>(steps: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(task::spawn(future));
    for _ in 0..steps {
        if let std::task::Poll::Ready(output) = future.as_mut().get_mut().poll() {
            return Some(output);
        }
        tokio::time::sleep(secs(1) / 4).await;
    }
    None
}

#[tokio::test(start_paused = true)]
async fn dropped_at_any_await_it_gives_its_place_back() {
    let error = json(429, "{\"error\": ").data("{\"code\": \"insufficient_quota\"}}");
    let within = stream().data("data: {\"error\":").data(" {\"code\": 500}}\n\n");
    let filtered = json(200, "{\"choices\":").data("[{\"finish_reason\":\"content_filter\"}]}");
    let fine = stream().data("data: 1\n\n").data("data: 2\n\n");
    for (answer, streamed) in [(error, false), (within, true), (filtered, false), (fine, true)] {
        let answer = answer.after(secs(1)).pausing(secs(1));
        for steps in 0..40 {
            let plan = FallbackPlan::new().group_on(FailureKind::ContentPolicy, "chat", ["none"]);
            let group = group_of([answer.clone()], fleet().fallback(plan));
            let request = ask("chat", streamed);
            let asked = async {
                let response = group.service.clone().oneshot(request).await?;
                response.into_body().collect().await.map(drop).map_err(Error::Service)
            };
            let _ = give_up_after(steps, asked).await;
            assert_eq!(group.live(), 0, "after {steps} steps");
        }
    }
}
