use FailureKind as K;
use http::Response;
use tokio::time::Instant;

use super::*;
use crate::{
    deployment::{Deployment, Refusal, Standing},
    outcome::Outcome,
};

const AT_ONCE: [FailureKind; 4] = [K::RateLimited, K::QuotaExhausted, K::Unauthorized, K::NotFound];
const COUNTED: [FailureKind; 6] =
    [K::Connect, K::Timeout, K::Overloaded, K::Server, K::Malformed, K::Truncated];
const NEVER: [FailureKind; 4] = [K::BadRequest, K::ContextWindow, K::ContentPolicy, K::Refused];

const SUCCESS: Outcome = Outcome::Success;

fn failure(kind: FailureKind) -> Outcome {
    Failure::new(kind).into()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A deployment judged by a policy, on a clock that moves when told to.
struct Court {
    policy: CooldownPolicy,
    deployment: Deployment,
    now: Instant,
}

/// What set it aside, for how long from now, and whether softly.
type Verdict = Option<(FailureKind, Duration, bool)>;

impl Court {
    fn new(policy: CooldownPolicy) -> Self {
        Self { policy, deployment: Deployment::new("a"), now: Instant::now() }
    }

    fn verdict(&self) -> Verdict {
        match self.deployment.health().standing(self.now).0 {
            Standing::Out { due: Some(due), why: Refusal::Cooling { kind: Some(kind), soft } } => {
                Some((kind, due - self.now, soft))
            }
            _ => None,
        }
    }

    fn is_cooling(&self) -> bool {
        self.verdict().is_some()
    }

    /// Whether it is set aside by the last of `outcomes`, and by none before.
    fn falls_at_the_last_of(&self, outcomes: impl IntoIterator<Item = Outcome>) -> bool {
        let mut outcomes = outcomes.into_iter().peekable();
        while let Some(outcome) = outcomes.next() {
            self.enter(&outcome);
            if self.is_cooling() {
                return outcomes.peek().is_none();
            }
        }
        false
    }

    fn enter(&self, outcome: &Outcome) {
        let health = self.deployment.health();
        let (admission, _probe) = health.admit(&self.deployment, self.now).unwrap();
        health.report(&self.policy, admission, outcome, self.now);
    }

    fn length(&self, outcome: impl Into<Outcome>) -> Duration {
        self.enter(&outcome.into());
        self.verdict().unwrap().1
    }
}

fn falls_at_the_last_of(
    policy: CooldownPolicy,
    outcomes: impl IntoIterator<Item = Outcome>,
) -> bool {
    Court::new(policy).falls_at_the_last_of(outcomes)
}

/// A policy with none of the rules that count.
fn lenient() -> CooldownPolicy {
    CooldownPolicy::default().consecutive_failures(0).failure_share(1.0, 5)
}

#[test]
fn one_failure_that_speaks_for_itself_is_enough() {
    let overloaded = Failure::new(K::Overloaded).with_retry_after(Duration::from_secs(1));
    let failures = AT_ONCE.map(Failure::new).into_iter().chain([overloaded]);
    for failure in failures {
        let court = Court::new(CooldownPolicy::default());
        assert!(court.falls_at_the_last_of([failure.into()]), "{failure:?}");
        assert!(matches!(court.verdict(), Some((kind, _, false)) if kind == failure.kind()));
        assert!(falls_at_the_last_of(lenient().allowed_fails(9), [failure.into()]), "{failure:?}");
    }
}

#[test]
fn a_connection_that_cannot_be_made_is_enough_unless_a_count_is_set() {
    let refused = Failure::new(K::Connect).not_sent();
    let court = Court::new(CooldownPolicy::default());
    court.enter(&refused.into());
    assert!(matches!(court.verdict(), Some((K::Connect, _, true))));
    let twice = [refused.into(); 2];
    assert!(falls_at_the_last_of(CooldownPolicy::default().allowed_fails(1), twice));
    assert!(falls_at_the_last_of(lenient().allowed_fails_of(K::Connect, 1), twice));
}

#[test]
fn three_in_a_row_are_enough_by_default_and_soft() {
    for kind in COUNTED {
        let court = Court::new(CooldownPolicy::default());
        assert!(court.falls_at_the_last_of([failure(kind); 3]), "{kind}");
        assert!(matches!(court.verdict(), Some((of, _, true)) if of == kind), "{kind}");
    }
    let mixed = [failure(K::Server), failure(K::Timeout), failure(K::Truncated)];
    assert!(falls_at_the_last_of(CooldownPolicy::default(), mixed));
}

#[test]
fn a_run_ends_with_a_success_and_with_nothing_else() {
    let bad = failure(K::Server);
    let run = |between| [bad, bad, between, bad, bad, bad];
    let policy = || lenient().consecutive_failures(3);
    assert!(falls_at_the_last_of(policy(), run(SUCCESS)));
    for between in [Outcome::Ignored, failure(K::BadRequest), failure(K::Cancelled)] {
        assert!(falls_at_the_last_of(policy(), [bad, bad, between, bad]), "{between:?}");
    }
    assert!(falls_at_the_last_of(lenient().consecutive_failures(1), [bad]));
}

#[test]
fn what_the_client_did_wrong_does_not_count() {
    for policy in [CooldownPolicy::default(), CooldownPolicy::default().allowed_fails(0)] {
        for kind in NEVER {
            let court = Court::new(policy.clone());
            (0..100).for_each(|_| court.enter(&failure(kind)));
            assert!(!court.is_cooling(), "{kind}");
        }
    }
}

#[test]
fn more_than_half_of_at_least_five_is_enough_by_default() {
    let policy = || CooldownPolicy::default().consecutive_failures(0);
    let (good, bad) = (SUCCESS, failure(K::Server));
    assert!(falls_at_the_last_of(policy(), [bad; 5]));
    assert!(falls_at_the_last_of(policy(), [bad, bad, good, good, bad]));
    assert!(falls_at_the_last_of(policy(), [good, bad, good, bad, good, bad, bad]), "not at half");

    let share = || lenient().failure_share(0.25, 8);
    assert!(falls_at_the_last_of(share(), [bad; 8]));
    assert!(falls_at_the_last_of(share(), [good, good, good, good, good, good, bad, bad, bad]));
    assert!(falls_at_the_last_of(lenient().failure_share(0.0, 0), [bad]));
}

#[test]
fn a_rule_that_is_turned_off_does_not_act() {
    let court = Court::new(lenient());
    (0..100).for_each(|_| court.enter(&failure(K::Server)));
    assert!(!court.is_cooling());
}

#[test]
fn one_failure_more_than_allowed_is_enough() {
    for allowed in [0, 1, 3, 10] {
        let policy = CooldownPolicy::default().allowed_fails(allowed);
        let between = (0..allowed).flat_map(|_| [failure(K::Server), SUCCESS, SUCCESS]);
        assert!(falls_at_the_last_of(policy, between.chain([failure(K::Timeout)])), "{allowed}");
    }
}

#[test]
fn failures_count_for_as_long_as_the_window() {
    let policy = CooldownPolicy::default().allowed_fails(2).window(seconds(10.0));
    for (pause, falls) in [(4.4, true), (5.1, false)] {
        let mut court = Court::new(policy.clone());
        for _ in 0..3 {
            assert!(!court.is_cooling());
            court.enter(&failure(K::Server));
            court.now += seconds(pause);
        }
        court.now -= seconds(pause);
        assert_eq!(court.is_cooling(), falls, "{pause}");
    }
}

#[test]
fn failures_that_set_it_aside_do_not_count_again() {
    let mut court = Court::new(CooldownPolicy::default().allowed_fails(2));
    let bad = failure(K::Server);
    assert!(court.falls_at_the_last_of([bad; 3]));
    court.now += court.verdict().unwrap().1;
    court.enter(&SUCCESS);
    assert!(court.falls_at_the_last_of([bad; 3]));
}

#[test]
fn allowed_fails_takes_the_place_of_the_rules_before_it() {
    let bad = failure(K::Server);
    let policy = || {
        CooldownPolicy::default()
            .allowed_fails_of(K::Timeout, 0)
            .failure_share(0.1, 1)
            .consecutive_failures(1)
            .allowed_fails(7)
    };
    assert!(falls_at_the_last_of(policy(), [bad; 8]));
    assert!(falls_at_the_last_of(policy(), [failure(K::Timeout); 8]));
    assert!(falls_at_the_last_of(policy().consecutive_failures(4), [bad; 4]), "set afterwards");
    assert!(falls_at_the_last_of(policy().failure_share(0.5, 6), [bad; 6]), "set afterwards");
}

#[test]
fn a_kind_can_have_a_count_of_its_own() {
    let (slow, bad, limited) = (failure(K::Timeout), failure(K::Server), failure(K::RateLimited));
    let policy = || lenient().allowed_fails_of(K::Timeout, 9).allowed_fails_of(K::Timeout, 1);
    assert!(falls_at_the_last_of(policy(), [bad, bad, bad, slow, bad, bad, SUCCESS, slow]));
    assert!(falls_at_the_last_of(policy(), [slow, limited]), "others keep their rule");
    assert!(falls_at_the_last_of(lenient().allowed_fails_of(K::RateLimited, 2), [limited; 3]));
}

#[test]
fn failures_with_a_count_of_their_own_count_nowhere_else() {
    let (slow, bad) = (failure(K::Timeout), failure(K::Server));
    let own = || CooldownPolicy::default().allowed_fails_of(K::Timeout, 100);
    let falls_at = |policy, outcomes: [Outcome; 7]| falls_at_the_last_of(policy, outcomes);
    let in_a_row = own().failure_share(1.0, 1);
    assert!(falls_at(in_a_row, [slow, slow, slow, bad, slow, bad, bad]), "three in a row");
    let share = own().consecutive_failures(0).failure_share(0.5, 3);
    assert!(falls_at(share, [slow, slow, slow, slow, SUCCESS, bad, bad]), "two of three");
    let all = CooldownPolicy::default().allowed_fails(1).allowed_fails_of(K::Timeout, 100);
    assert!(falls_at(all, [slow, slow, slow, bad, slow, slow, bad]));
}

#[test]
fn what_the_client_did_wrong_counts_where_it_has_a_count_of_its_own() {
    for kind in [K::BadRequest, K::ContextWindow, K::ContentPolicy] {
        let policy = lenient().allowed_fails_of(kind, 2);
        assert!(falls_at_the_last_of(policy.clone(), [failure(kind); 3]), "{kind}");
        let mut court = Court::new(policy);
        assert!(court.falls_at_the_last_of([failure(kind); 3]));
        assert!(matches!(court.verdict(), Some((of, _, true)) if of == kind), "{kind} is soft");
        court.now += court.verdict().unwrap().1;
        let answered = Failure::new(kind).with_status(http::StatusCode::BAD_REQUEST);
        court.enter(&answered.into());
        assert!(court.is_cooling(), "a trial that fails so is no recovery");
    }
}

#[test]
fn nothing_but_cancellations_is_soft_and_enough() {
    let gone = failure(K::Cancelled);
    for policy in [CooldownPolicy::default(), CooldownPolicy::default().allowed_fails(3), lenient()]
    {
        let court = Court::new(policy);
        assert!(court.falls_at_the_last_of([gone; 5]));
        assert!(matches!(court.verdict(), Some((K::Cancelled, _, true))));
    }
    assert!(falls_at_the_last_of(CooldownPolicy::default().failure_share(0.5, 9), [gone; 9]));
}

#[test]
fn a_window_with_any_answer_in_it_is_not_all_cancelled() {
    for answer in [SUCCESS, failure(K::BadRequest), failure(K::Server)] {
        let mut court = Court::new(CooldownPolicy::default());
        court.enter(&answer);
        for _ in 0..50 {
            court.enter(&failure(K::Cancelled));
            court.now += seconds(1.0);
        }
        assert!(!court.is_cooling(), "{answer:?}");
        court.now += seconds(20.0);
        court.enter(&failure(K::Cancelled));
        assert!(court.is_cooling(), "{answer:?} has left the window");
    }
}

#[test]
fn it_lasts_five_seconds_and_up_to_a_tenth() {
    for _ in 0..100 {
        let length = Court::new(CooldownPolicy::default()).length(Failure::new(K::RateLimited));
        assert!((5.0..=5.5).contains(&length.as_secs_f64()), "{length:?}");
    }
    let lengths = || Court::new(CooldownPolicy::default()).length(Failure::new(K::RateLimited));
    assert!((0..100).any(|_| lengths() != lengths()), "all come back at once");
}

#[test]
fn it_lasts_twice_as_long_each_time_up_to_the_longest() {
    let policy = CooldownPolicy::default().cooldown_time(seconds(2.0)).longest(seconds(10.0));
    let mut court = Court::new(policy);
    for expected in [2.0, 4.0, 8.0, 10.0, 10.0] {
        let length = court.length(Failure::new(K::RateLimited));
        assert!((expected..=expected * 1.1).contains(&length.as_secs_f64()), "{length:?}");
        court.now += length;
    }
    let longer = CooldownPolicy::default().cooldown_time(seconds(900.0));
    assert!(Court::new(longer).length(Failure::new(K::RateLimited)) >= seconds(900.0));
}

#[test]
fn the_longest_times_do_not_overflow() {
    let policy = CooldownPolicy::default()
        .cooldown_time(Duration::MAX)
        .longest(Duration::MAX)
        .window(Duration::MAX)
        .probe_deadline(Duration::MAX)
        .ramp(Duration::MAX)
        .forgive(Duration::MAX)
        .retry_after(RetryAfterLimits::new().cap(Duration::MAX));
    let asked = Failure::new(K::RateLimited).with_retry_after(Duration::MAX);
    let year = seconds(365.0 * 24.0 * 60.0 * 60.0);
    for failure in [Failure::new(K::RateLimited), asked] {
        let mut court = Court::new(policy.clone());
        for _ in 0..3 {
            let length = court.length(failure);
            assert!(length > year);
            court.now += length;
            court.enter(&SUCCESS);
        }
    }
}

/// How long a response with these headers sets it aside.
fn asked(status: u16, headers: &[(&str, &str)]) -> Duration {
    let policy = CooldownPolicy::default();
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    let (head, ()) = response.body(()).unwrap().into_parts();
    let outcome = policy.classify.head(&head).unwrap();
    Court::new(policy).length(outcome)
}

#[test]
fn the_server_says_for_how_long_within_limits() {
    for status in [429, 503] {
        let after = |value| asked(status, &[("retry-after", value)]);
        assert_eq!(after("20"), seconds(20.0));
        assert_eq!(after("2.5"), seconds(2.5));
        assert_eq!(after("0"), seconds(1.0), "a floor");
        assert_eq!(after("86400"), seconds(300.0), "a cap");
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), seconds(1.0), "long past");
        assert_eq!(asked(status, &[("retry-after-ms", "1500")]), seconds(1.5));
        let both = [("retry-after-ms", "1500"), ("retry-after", "9")];
        assert_eq!(asked(status, &both), seconds(1.5));
    }
    assert!(asked(429, &[("retry-after", "soon")]) >= seconds(5.0), "as if it said nothing");
}

#[test]
fn what_the_server_says_is_not_doubled() {
    let mut court = Court::new(CooldownPolicy::default());
    for _ in 0..4 {
        let failure = Failure::new(K::RateLimited).with_retry_after(seconds(7.0));
        assert_eq!(court.length(failure), seconds(7.0));
        court.now += seconds(7.0);
    }
}

#[test]
fn a_trial_fails_by_whatever_counts() {
    let policy = CooldownPolicy::default().allowed_fails(100);
    for kind in K::ALL {
        let counts = Failure::new(*kind).cools() != Cools::Never;
        assert_eq!(policy.probe_failed(&Failure::new(*kind), 0).is_some(), counts, "{kind}");
    }
}

#[test]
fn how_it_comes_back_is_the_policys_to_say() {
    let (default, set) = (
        CooldownPolicy::default().recovery(),
        CooldownPolicy::default()
            .probes(0)
            .probe_successes(0)
            .probe_deadline(seconds(1.0))
            .ramp(seconds(2.0))
            .forgive(seconds(3.0))
            .recovery(),
    );
    assert_eq!((default.probes, default.successes, default.ramp_from), (1, 1, 0.1));
    assert_eq!((default.probe_deadline, default.ramp), (seconds(30.0), seconds(10.0)));
    assert_eq!(default.forgive, seconds(60.0));
    assert_eq!((set.probes, set.successes), (1, 1), "at least one");
    assert_eq!(
        (set.probe_deadline, set.ramp, set.forgive),
        (seconds(1.0), seconds(2.0), seconds(3.0))
    );
}
