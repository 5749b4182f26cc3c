//! The trail tells of every attempt.

use tokio::time::{Instant, sleep};
use tokio_test::task;
use tower_fleet::{Trail, cooldown::CooldownLayer, outcome::FailureKind, timeout::TimeoutLayer};

use super::*;
use crate::support::{Answer, secs, text};

/// Of each attempt the deployment, when it began, how long it took, and the kind of its failure.
type Told = (Option<String>, Duration, Option<Duration>, Option<FailureKind>);

fn told(trail: &Trail) -> Vec<Told> {
    let tell = |step: &tower_fleet::trail::Step| {
        let id = step.deployment().map(|deployment| deployment.id().to_owned());
        let kind = step.outcome().and_then(|outcome| outcome.failure()).map(|one| one.kind());
        (id, step.started() - trail.started(), step.took(), kind)
    };
    trail.attempts().iter().map(tell).collect()
}

fn traced() -> (Request<Full<Bytes>>, Trail) {
    let mut request = get();
    let trail = Trail::start(&mut request);
    (request, trail)
}

fn policy() -> RetryPolicy {
    RetryPolicy::new().backoff(every(secs(1)))
}

#[tokio::test(start_paused = true)]
async fn without_a_balance() {
    let answers = [Answer::status(500), Answer::error(), Answer::status(200)];
    let (request, trail) = traced();
    let fake = Fake::new(answers.map(|answer| answer.after(secs(2))));
    let _ = send(policy(), fake, request).await.unwrap();
    let (two, kind) = (Some(secs(2)), Some);
    assert_eq!(
        told(&trail),
        [
            (None, secs(0), two, kind(FailureKind::Server)),
            (None, secs(3), two, kind(FailureKind::Connect)),
            (None, secs(6), two, None),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn with_a_balance() {
    for cooled in [false, true] {
        let fakes = [Answer::status(429), Answer::error(), Answer::status(200)]
            .map(|answer| Fake::new([answer.after(secs(2))]));
        let (request, trail) = traced();
        if cooled {
            let members = fakes.iter().enumerate().map(|(index, fake)| {
                let deployment = Deployment::new(index.to_string());
                let order = i32::try_from(index).unwrap();
                (deployment.order(order), CooldownLayer::default().layer(fake.clone()))
            });
            text(send(policy(), Balance::new(LeastBusy, members), request).await.unwrap()).await;
        } else {
            let _ = send(policy(), in_order(&fakes).0, request).await.unwrap();
        }
        let (two, id) = (Some(secs(2)), |id: &str| Some(id.to_owned()));
        assert_eq!(
            told(&trail),
            [
                (id("0"), secs(0), two, Some(FailureKind::RateLimited)),
                (id("1"), secs(2), two, Some(FailureKind::Connect)),
                (id("2"), secs(4), two, None),
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_was_not_ready_stands_on_it() {
    let fakes = [Fake::new([Answer::status(200)]).unready(), Fake::new([Answer::status(200)])];
    let (request, trail) = traced();
    let _ = send(policy(), in_order(&fakes).0, request).await.unwrap();
    let ids: Vec<_> = told(&trail).into_iter().map(|(id, _, _, kind)| (id, kind)).collect();
    assert_eq!(ids, [(Some("0".into()), Some(FailureKind::Connect)), (Some("1".into()), None)]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_attempt() {
    let (balance, [deployment]) = in_order(&[Fake::new([Answer::status(200)])]);
    deployment.health().pause();
    let (request, trail) = traced();
    let error = send(policy(), balance, request).await.unwrap_err();
    assert!(error.as_refused().is_some());
    assert_eq!(told(&trail), []);
}

#[tokio::test(start_paused = true)]
async fn a_hung_deployment_gives_way_to_another() {
    let fakes = [Fake::new([Answer::never()]), Fake::new([Answer::status(200)])];
    let members = fakes.iter().enumerate().map(|(index, fake)| {
        let deployment = Deployment::new(index.to_string()).order(i32::try_from(index).unwrap());
        (deployment, TimeoutLayer::new(secs(3)).layer(fake.clone()))
    });
    let start = Instant::now();
    let (request, trail) = traced();
    let response = send(policy(), Balance::new(LeastBusy, members), request).await.unwrap();
    assert_eq!((response.status().as_u16(), start.elapsed()), (200, secs(3)));
    assert_eq!(
        told(&trail)[0],
        (Some("0".into()), secs(0), Some(secs(3)), Some(FailureKind::Timeout))
    );
    assert_eq!(fakes[0].live(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_given_up_says_how_long_it_was_awaited() {
    let (balance, _) = in_order(&[Fake::new([Answer::never()])]);
    let (request, trail) = traced();
    let mut sent = task::spawn(send(policy(), balance, request));
    assert!(sent.poll().is_pending());
    assert_eq!(told(&trail), [(Some("0".into()), secs(0), None, None)]);
    sleep(secs(2)).await;
    drop(sent);
    assert_eq!(told(&trail)[0].2, Some(secs(2)));
}
