use std::sync::atomic::{AtomicU32, Ordering};

use FailureKind as K;
use proptest::prelude::*;

use super::*;
use crate::outcome::Cools;

const LENGTH: Duration = Duration::from_secs(4);

/// Sets a deployment aside at the `run`-th failure in a row, for as long as the failure says, or [`LENGTH`] doubled.
struct Strict {
    run: u32,
    recovery: Recovery,
}

impl Default for Strict {
    fn default() -> Self {
        Self { run: 1, recovery: Recovery::default() }
    }
}

impl Judge for Strict {
    fn judge(&self, failure: &Failure, record: &Record, level: u32) -> Option<Sentence> {
        if failure.kind() == K::Cancelled {
            let only = record.succeeded() + record.failed(|_| true) == 0;
            return (only && record.cancellations() >= 3).then(|| sentence(failure, level));
        }
        self.probe_failed(failure, level).filter(|_| record.run() >= self.run)
    }

    fn probe_failed(&self, failure: &Failure, level: u32) -> Option<Sentence> {
        (failure.cools() != Cools::Never).then(|| sentence(failure, level))
    }

    fn window(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn recovery(&self) -> Recovery {
        self.recovery
    }
}

fn sentence(failure: &Failure, level: u32) -> Sentence {
    let length = failure.retry_after().unwrap_or(LENGTH * 2_u32.pow(level));
    Sentence { length, soft: failure.is_soft(), kind: failure.kind() }
}

fn failure(kind: FailureKind) -> Outcome {
    Failure::new(kind).into()
}

fn wait(kind: FailureKind, seconds: u64) -> Outcome {
    Failure::new(kind).with_retry_after(Duration::from_secs(seconds)).into()
}

/// A state machine with its judge, on a clock of whole seconds.
struct Machine {
    state: State,
    judge: Strict,
    start: Instant,
}

impl Machine {
    fn new(judge: Strict) -> Self {
        Self { state: State::default(), judge, start: Instant::now() }
    }

    fn with(change: impl FnOnce(&mut Recovery)) -> Self {
        let mut judge = Strict::default();
        change(&mut judge.recovery);
        Self::new(judge)
    }

    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    fn admit(&mut self, second: u64) -> (Admission, Option<u64>) {
        let now = self.at(second);
        self.state.admit(now).unwrap()
    }

    fn refusal(&mut self, second: u64) -> (Option<u64>, Refusal) {
        let now = self.at(second);
        let (due, why) = self.state.admit(now).unwrap_err();
        (due.map(|due| (due - self.start).as_secs()), why)
    }

    /// Lets a request through whatever the state, as a group's last resort.
    fn force(&mut self, second: u64) -> Admission {
        let now = self.at(second);
        self.state.settle(now);
        Admission { epoch: self.state.epoch, probe: false }
    }

    fn report(&mut self, second: u64, admission: Admission, outcome: &Outcome) -> bool {
        let now = self.at(second);
        self.state.report(&self.judge, admission, outcome, now)
    }

    /// A request within one second, its probe's place given back.
    fn run(&mut self, second: u64, outcome: &Outcome) -> bool {
        let (admission, place) = self.admit(second);
        let changed = self.report(second, admission, outcome);
        place.map(|place| self.state.end_probe(place));
        changed
    }

    fn status(&self, second: u64) -> Status {
        self.state.status(self.at(second))
    }

    fn cooling(&self, until: u64, kind: FailureKind) -> Status {
        Status::Cooling { until: self.at(until), cause: Cause::Failed(kind) }
    }
}

#[test]
fn it_cools_is_probed_ramps_up_and_is_ready() {
    let mut it = Machine::new(Strict::default());
    assert_eq!(it.status(0), Status::Ready);
    assert!(!it.run(0, &Outcome::Success));

    assert!(it.run(0, &failure(K::Server)));
    assert_eq!(it.status(3), it.cooling(4, K::Server));
    assert_eq!(it.refusal(3), (Some(4), Refusal::Cooling { kind: Some(K::Server), soft: true }));

    assert_eq!(it.status(4), Status::Probing);
    let now = it.at(4);
    assert_eq!(it.state.standing(now), Standing::Probing);
    let (probe, place) = it.admit(4);
    assert!(probe.probe && place.is_some());
    assert!(it.report(5, probe, &Outcome::Success));

    assert_eq!(it.status(5), Status::Ramping { share: 0.1 });
    assert_eq!(it.status(10), Status::Ramping { share: 0.5 });
    let now = it.at(10);
    assert!(matches!(it.state.standing(now), Standing::In { ramp: Some(_) }));
    assert_eq!(it.admit(10), (Admission { epoch: 1, probe: false }, None));

    assert_eq!(it.status(15), Status::Ready);
    let now = it.at(15);
    assert_eq!(it.state.standing(now), Standing::In { ramp: None });
    assert_eq!(it.state.totals, Totals { succeeded: 2, failed: 1, cancelled: 0, ejections: 1 });
}

#[test]
fn without_a_ramp_a_success_makes_it_ready() {
    let mut it = Machine::with(|recovery| recovery.ramp = Duration::ZERO);
    it.run(0, &failure(K::Server));
    assert!(it.run(4, &Outcome::Success));
    assert_eq!(it.status(4), Status::Ready);
}

#[test]
fn a_ramp_beyond_the_clocks_reach_has_no_end() {
    let mut it = Machine::with(|recovery| recovery.ramp = Duration::MAX);
    it.run(0, &failure(K::Server));
    it.run(4, &Outcome::Success);
    let now = it.at(5);
    let Standing::In { ramp: Some(ramp) } = it.state.standing(now) else {
        panic!("it does not ramp")
    };
    assert!(ramp.end() > it.at(1_000_000));
}

#[test]
fn it_fails_again_while_it_ramps_and_cools_longer() {
    let mut it = Machine::new(Strict::default());
    it.run(0, &failure(K::Server));
    it.run(4, &Outcome::Success);
    assert!(it.run(6, &failure(K::Timeout)));
    assert_eq!(it.status(6), it.cooling(6 + 8, K::Timeout));
}

#[test]
fn failures_that_do_not_suffice_change_nothing() {
    let mut it = Machine::new(Strict { run: 3, ..Strict::default() });
    assert!(!it.run(0, &failure(K::Server)));
    assert!(!it.run(0, &failure(K::Server)));
    assert!(!it.run(0, &Outcome::Success));
    assert!(!it.run(0, &failure(K::Server)));
    assert!(!it.run(0, &Outcome::Ignored));
    assert!(!it.run(0, &failure(K::BadRequest)));
    assert!(!it.run(0, &failure(K::Server)));
    assert_eq!(it.status(0), Status::Ready);
    assert!(it.run(0, &failure(K::Server)));
}

#[test]
fn an_ejection_begins_with_a_clean_record() {
    let mut it = Machine::new(Strict { run: 2, ..Strict::default() });
    it.run(0, &failure(K::Server));
    it.run(0, &failure(K::Server));
    it.run(4, &Outcome::Success);
    assert!(!it.run(5, &failure(K::Server)));
    assert!(matches!(it.status(5), Status::Ramping { .. }));
}

#[test]
fn concurrent_failures_eject_once() {
    let mut it = Machine::new(Strict::default());
    let admissions: Vec<_> = (0..50).map(|_| it.admit(0).0).collect();
    let changes = admissions.iter().filter(|one| it.report(1, **one, &failure(K::Server))).count();
    assert_eq!((changes, it.state.totals.ejections), (1, 1));
    assert_eq!(it.status(1), it.cooling(5, K::Server));
}

#[test]
fn results_of_requests_begun_before_the_ejection_do_not_count() {
    let mut it = Machine::new(Strict::default());
    let [a, b, c, d] = [(); 4].map(|()| it.admit(0).0);
    it.run(0, &failure(K::Server));

    assert!(!it.report(1, a, &Outcome::Success), "while it cools");
    assert_eq!(it.status(1), it.cooling(4, K::Server));
    assert!(!it.report(4, b, &Outcome::Success), "while it is probed");
    assert!(!it.report(4, c, &failure(K::Server)), "while it is probed");
    assert_eq!(it.status(4), Status::Probing);
    it.run(4, &Outcome::Success);
    assert!(!it.report(5, d, &failure(K::Server)), "while it ramps");
    assert!(matches!(it.status(5), Status::Ramping { .. }));
    assert_eq!(it.state.totals, Totals { succeeded: 3, failed: 3, cancelled: 0, ejections: 1 });
}

#[test]
fn the_later_end_wins_whenever_the_request_was_begun() {
    let mut it = Machine::new(Strict::default());
    let [sooner, later, silent, innocent] = [(); 4].map(|()| it.admit(0).0);
    it.run(0, &wait(K::RateLimited, 10));
    assert!(!it.report(1, sooner, &wait(K::RateLimited, 3)));
    assert!(!it.report(1, silent, &failure(K::Server)), "no time named");
    assert!(!it.report(1, innocent, &wait(K::BadRequest, 60)), "says nothing of the deployment");
    assert_eq!(it.status(1), it.cooling(10, K::RateLimited));
    assert!(it.report(2, later, &wait(K::RateLimited, 20)));
    assert_eq!(it.status(2), it.cooling(22, K::RateLimited));
    assert_eq!(it.state.totals.ejections, 1);
}

#[test]
fn one_set_aside_along_with_another_waits_as_long_and_its_own_next_ejection_is_no_longer() {
    let (mut offender, mut other) =
        (Machine::new(Strict::default()), Machine::new(Strict::default()));
    other.start = offender.start;
    let (begun, _) = other.admit(0);
    offender.run(0, &failure(K::RateLimited));
    let aside = offender.state.aside().unwrap();
    assert!(other.state.cool_along(aside, offender.start));
    assert_eq!(other.status(3), other.cooling(4, K::RateLimited));
    assert!(!other.report(1, begun, &Outcome::Success), "begun before");
    assert_eq!(other.status(4), Status::Probing);

    other.run(4, &failure(K::Server));
    assert_eq!(other.status(7), other.cooling(8, K::Server), "the first of its own");
    offender.run(4, &failure(K::Server));
    assert_eq!(offender.status(11), offender.cooling(12, K::Server), "the second");
    assert_eq!((other.state.totals.ejections, other.state.totals.failed), (2, 1));
}

#[test]
fn along_with_another_the_later_end_wins_too() {
    let (mut offender, mut other) =
        (Machine::new(Strict::default()), Machine::new(Strict::default()));
    other.start = offender.start;
    other.run(0, &failure(K::Server));
    offender.run(0, &wait(K::RateLimited, 3));
    assert!(!other.state.cool_along(offender.state.aside().unwrap(), offender.start));
    assert_eq!(other.status(3), other.cooling(4, K::Server));
    let mut offender = Machine { start: other.start, ..Machine::new(Strict::default()) };
    offender.run(0, &wait(K::RateLimited, 9));
    assert!(other.state.cool_along(offender.state.aside().unwrap(), offender.start));
    let cooling = Refusal::Cooling { kind: Some(K::Server), soft: false };
    assert_eq!(other.refusal(8), (Some(9), cooling), "and for a hard reason it is hard");
}

#[test]
fn a_hard_reason_to_wait_longer_makes_a_soft_ejection_hard_and_never_the_reverse() {
    let mut it = Machine::new(Strict::default());
    let [hard, soft] = [(); 2].map(|()| it.admit(0).0);
    it.run(0, &failure(K::Server));
    assert!(matches!(it.refusal(0).1, Refusal::Cooling { soft: true, .. }));
    assert!(it.report(1, hard, &wait(K::RateLimited, 20)));
    assert!(matches!(it.refusal(1).1, Refusal::Cooling { soft: false, .. }));
    assert!(it.report(1, soft, &wait(K::Server, 30)));
    assert!(matches!(it.refusal(1), (Some(31), Refusal::Cooling { soft: false, .. })));
}

#[test]
fn probes_are_bounded_and_their_places_come_back() {
    let mut it = Machine::with(|recovery| recovery.probes = 2);
    it.run(0, &failure(K::Server));
    let (_, first) = it.admit(5);
    let (_, second) = it.admit(6);
    assert_eq!(it.refusal(6), (Some(35), Refusal::ProbesTaken));

    assert!(it.state.end_probe(first.unwrap()));
    assert!(!it.state.end_probe(first.unwrap()), "a place is given back once");
    it.admit(7);
    assert_eq!(it.refusal(7), (Some(36), Refusal::ProbesTaken));
    assert!(it.state.end_probe(second.unwrap()));
    it.admit(7);
}

#[test]
fn a_probe_past_its_deadline_no_longer_keeps_others_out() {
    let mut it = Machine::new(Strict::default());
    it.run(0, &failure(K::Server));
    let (slow, place) = it.admit(4);
    assert_eq!(it.refusal(33), (Some(34), Refusal::ProbesTaken));
    let (_, other) = it.admit(34);
    assert_ne!(place, other);

    assert!(!it.state.end_probe(place.unwrap()), "it holds no place any more");
    assert_eq!(it.refusal(34).1, Refusal::ProbesTaken);
    assert!(it.report(40, slow, &Outcome::Success), "its result still counts");
    assert!(matches!(it.status(40), Status::Ramping { .. }));
}

#[test]
fn a_probe_of_an_earlier_trial_gives_back_no_place_of_a_later_one() {
    let mut it = Machine::with(|recovery| recovery.probes = 2);
    it.run(0, &failure(K::Server));
    let (_, slow) = it.admit(4);
    it.run(4, &failure(K::Server));

    it.admit(20);
    it.admit(20);
    assert!(!it.state.end_probe(slow.unwrap()));
    assert_eq!(it.refusal(20).1, Refusal::ProbesTaken);
}

#[test]
fn a_probe_that_is_ignored_cancelled_or_refused_decides_nothing() {
    for outcome in [Outcome::Ignored, failure(K::Cancelled), failure(K::Refused)] {
        let mut it = Machine::new(Strict::default());
        it.run(0, &failure(K::Server));
        for second in 4..10 {
            assert!(!it.run(second, &outcome), "{outcome:?}");
            assert_eq!(it.status(second), Status::Probing, "{outcome:?}");
        }
        assert!(it.run(10, &Outcome::Success), "{outcome:?}");
    }
}

#[test]
fn a_probe_answered_with_a_fault_of_its_own_request_is_a_success() {
    let mut it = Machine::new(Strict::default());
    it.run(0, &failure(K::Server));
    let answer = Failure::new(K::BadRequest).with_status(http::StatusCode::BAD_REQUEST);
    assert!(it.run(4, &answer.into()));
    assert!(matches!(it.status(4), Status::Ramping { .. }));
}

#[test]
fn it_takes_as_many_probes_to_succeed_as_asked() {
    let mut it = Machine::with(|recovery| recovery.successes = 3);
    it.run(0, &failure(K::Server));
    assert!(!it.run(4, &Outcome::Success));
    assert!(!it.run(5, &Outcome::Success));
    assert_eq!(it.status(5), Status::Probing);
    assert!(it.run(6, &Outcome::Success));

    it.run(30, &failure(K::Server));
    assert!(!it.run(40, &Outcome::Success), "counted anew after an ejection");
    assert!(it.run(40, &failure(K::Server)));
    assert!(!it.run(60, &Outcome::Success));
}

#[test]
fn a_forced_success_brings_it_back_from_cooling_and_probing() {
    for second in [1, 4] {
        let mut it = Machine::with(|recovery| recovery.successes = 3);
        it.run(0, &failure(K::Server));
        let forced = it.force(second);
        assert!(it.report(second, forced, &Outcome::Success));
        assert!(matches!(it.status(second), Status::Ramping { .. }));
    }
}

#[test]
fn a_forced_failure_changes_nothing_while_cooling_and_ejects_again_afterwards() {
    let mut it = Machine::new(Strict::default());
    it.run(0, &failure(K::Server));
    let forced = it.force(1);
    assert!(!it.report(1, forced, &failure(K::Server)));
    assert_eq!(it.status(1), it.cooling(4, K::Server));
    assert!(it.report(5, forced, &failure(K::Server)));
    assert_eq!(it.status(5), it.cooling(5 + 8, K::Server));
}

#[test]
fn escalation_doubles_and_is_forgiven_a_step_for_each_healthy_stretch() {
    let mut it = Machine::new(Strict::default());
    let mut now = 0;
    for doubled in [4, 8, 16, 32] {
        assert!(it.run(now, &failure(K::Server)));
        now += doubled;
        assert_eq!(it.status(now - 1), it.cooling(now, K::Server));
    }
    // Four ejections; from the recovery on, each 60 healthy seconds forgive one.
    it.run(now, &Outcome::Success);
    now += 60 * 2 + 59;
    it.run(now, &failure(K::Server));
    assert_eq!(it.status(now), it.cooling(now + 16, K::Server));
    it.run(now + 16, &Outcome::Success);
    now += 16 + 60 * 100;
    it.run(now, &failure(K::Server));
    assert_eq!(it.status(now), it.cooling(now + 4, K::Server));
}

#[test]
fn cooling_by_hand_takes_no_earned_forgiveness_away() {
    let mut it = Machine::new(Strict::default());
    it.run(0, &failure(K::Server));
    it.run(4, &failure(K::Server));
    it.run(12, &Outcome::Success);
    let now = it.at(1000);
    it.state.cool_by_hand(now, LENGTH, Recovery::default());
    it.run(1004, &failure(K::Server));
    assert_eq!(it.status(1004), it.cooling(1008, K::Server));
}

#[test]
fn cancellations_count_only_when_a_window_holds_nothing_else() {
    let cancelled = failure(K::Cancelled);
    let mut it = Machine::new(Strict::default());
    assert!(!it.run(0, &cancelled));
    assert!(!it.run(0, &cancelled));
    assert!(it.run(0, &cancelled));
    assert_eq!(it.status(0), it.cooling(4, K::Cancelled));

    for answer in [Outcome::Success, failure(K::BadRequest)] {
        let mut it = Machine::new(Strict::default());
        it.run(0, &answer);
        (0..100).for_each(|_| assert!(!it.run(1, &cancelled), "{answer:?}"));
        assert_eq!(it.state.totals.cancelled, 100);
    }

    let mut it = Machine::new(Strict::default());
    let [a, b, c, d] = [(); 4].map(|()| it.admit(0).0);
    it.run(0, &failure(K::Server));
    for stale in [a, b, c, d] {
        assert!(!it.report(5, stale, &cancelled));
    }
}

#[test]
fn reset_forgets_everything_but_the_pause_and_the_totals() {
    let mut it = Machine::new(Strict { run: 2, ..Strict::default() });
    let (before, _) = it.admit(0);
    it.run(0, &failure(K::Server));
    it.run(0, &failure(K::Server));
    it.state.paused = true;
    it.state.reset();
    assert_eq!(it.status(0), Status::Paused);
    assert_eq!(it.refusal(0), (None, Refusal::Paused));
    it.state.paused = false;
    assert_eq!(it.status(0), Status::Ready);
    assert_eq!(it.state.totals, Totals { failed: 2, ejections: 1, ..Totals::default() });
    assert!(!it.report(0, before, &failure(K::Server)), "begun before");
    assert!(!it.run(0, &failure(K::Server)));
    assert!(it.run(0, &failure(K::Server)));
    assert_eq!(it.status(0), it.cooling(4, K::Server), "the first ejection again");
}

#[test]
fn a_paused_deployment_goes_on_with_its_states() {
    let mut it = Machine::new(Strict::default());
    let (admission, _) = it.admit(0);
    it.state.paused = true;
    it.report(0, admission, &failure(K::Server));
    assert_eq!(it.status(1), Status::Paused);
    it.state.paused = false;
    assert_eq!(it.status(1), it.cooling(4, K::Server));
    assert_eq!(it.status(4), Status::Probing);
}

#[tokio::test(start_paused = true)]
async fn cool_for_keeps_the_later_end_and_reaches_as_far_as_the_clock() {
    let health = Health::default();
    let cooling = |seconds| Status::Cooling {
        until: Instant::now() + Duration::from_secs(seconds),
        cause: Cause::Operator,
    };
    health.cool_for(Duration::from_secs(9));
    health.cool_for(Duration::from_secs(3));
    assert_eq!(health.status(), cooling(9));
    health.cool_for(Duration::from_secs(10));
    assert_eq!(health.status(), cooling(10));

    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(health.status(), Status::Probing);

    health.cool_for(Duration::MAX);
    tokio::time::advance(Duration::from_secs(60 * 60 * 24 * 365)).await;
    assert!(matches!(health.status(), Status::Cooling { .. }));
    health.reset();
    assert_eq!(health.status(), Status::Ready);
    health.cool_for(Duration::ZERO);
    assert_eq!(health.status(), Status::Probing);
}

#[tokio::test(start_paused = true)]
async fn after_cool_for_it_comes_back_as_its_judge_says() {
    let deployment = Deployment::new("a");
    let recovery = Recovery { probes: 3, ramp: Duration::ZERO, ..Recovery::default() };
    let judge = Arc::new(Strict { recovery, ..Strict::default() });
    let health = deployment.health();
    health.judged_by(&judge);
    health.cool_for(Duration::ZERO);

    let now = Instant::now();
    let probes = [(); 3].map(|()| health.admit(&deployment, now).unwrap());
    assert_eq!(health.admit(&deployment, now).unwrap_err().1, Refusal::ProbesTaken);
    health.report(&*judge, probes[0].0, &Outcome::Success, now);
    assert_eq!(health.status(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_gives_its_place_back() {
    let deployment = Deployment::new("a");
    let health = deployment.health();
    health.cool_for(Duration::ZERO);
    let (_, probe) = health.admit(&deployment, Instant::now()).unwrap();
    assert!(health.admit(&deployment, Instant::now()).is_err());
    drop(probe);
    assert!(health.admit(&deployment, Instant::now()).is_ok());
}

const MEMBER: Key = Key { index: 3, serial: 7 };

/// Counts what it is told, and looks at the health meanwhile, as a group does.
struct Watcher {
    deployment: Deployment,
    told: AtomicU32,
}

impl Watch for Watcher {
    fn changed(&self, member: Key) -> bool {
        assert_eq!(member, MEMBER);
        self.deployment.health().standing(Instant::now());
        self.told.fetch_add(1, Ordering::Relaxed);
        false
    }

    fn deployment(&self, _: Key) -> Option<Deployment> {
        Some(self.deployment.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn watchers_are_told_of_each_change_and_of_nothing_else() {
    let deployment = Deployment::new("a");
    let health = deployment.health();
    let watcher = Arc::new(Watcher { deployment: deployment.clone(), told: AtomicU32::new(0) });
    let weak: Weak<dyn Watch> = Arc::downgrade(&watcher) as _;
    let told = || watcher.told.swap(0, Ordering::Relaxed);
    health.watch(Weak::clone(&weak), MEMBER);
    let judge = Strict::default();

    health.pause();
    health.pause();
    assert_eq!(told(), 1);
    health.resume();
    health.resume();
    assert_eq!(told(), 1);
    health.cool_for(Duration::ZERO);
    assert_eq!(told(), 1);
    let (admission, probe) = health.admit(&deployment, Instant::now()).unwrap();
    health.report(&judge, admission, &Outcome::Ignored, Instant::now());
    assert_eq!(told(), 0);
    drop(probe);
    assert_eq!(told(), 1);
    health.report(&judge, admission, &Outcome::Success, Instant::now());
    assert_eq!(told(), 1);
    health.report(&judge, admission, &failure(K::Server), Instant::now());
    health.report(&judge, admission, &failure(K::Server), Instant::now());
    assert_eq!(told(), 1);
    health.reset();
    assert_eq!(told(), 1);

    health.unwatch(&weak, Key { serial: 8, ..MEMBER });
    health.pause();
    assert_eq!(told(), 1);
    health.unwatch(&weak, MEMBER);
    health.resume();
    assert_eq!(told(), 0);
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Success,
    Cancelled,
    Failed(FailureKind),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Success),
        Just(Event::Cancelled),
        proptest::sample::select(FailureKind::ALL).prop_map(Event::Failed),
    ]
}

proptest! {
    /// What it counts holds every event of the last nine tenths of the window, and none older than the whole.
    #[test]
    fn the_window_slides(events in prop::collection::vec((0_u64..400, event()), 1..200)) {
        const WINDOW: u64 = 1000;
        let start = Instant::now();
        let mut record = Record::default();
        let mut all: Vec<(u64, Event)> = Vec::new();
        let mut now = 0;
        for (pause, event) in events {
            // Mostly short steps, some far beyond the window.
            now += if pause > 390 { pause * 10 } else { pause / 4 };
            all.push((now, event));
            let (at, window) = (start + Duration::from_millis(now), Duration::from_millis(WINDOW));
            match event {
                Event::Success => record.success(at, window),
                Event::Cancelled => record.cancelled(at, window),
                Event::Failed(kind) => record.failure(kind, kind != K::BadRequest, at, window),
            }

            let within = |age: u64, which: &dyn Fn(Event) -> bool| {
                let young = |(when, _): &&(u64, Event)| now - when <= age;
                all.iter().filter(young).filter(|(_, event)| which(*event)).count()
            };
            let holds = |count: u32, which: &dyn Fn(Event) -> bool| {
                (within(WINDOW * 9 / 10, which)..=within(WINDOW, which)).contains(&(count as usize))
            };
            prop_assert!(holds(record.succeeded(), &|event| matches!(event, Event::Success)));
            prop_assert!(holds(record.cancellations(), &|event| matches!(event, Event::Cancelled)));
            for wanted in FailureKind::ALL {
                let is = |event| matches!(event, Event::Failed(kind) if kind == *wanted);
                prop_assert!(holds(record.failed(|kind| kind == *wanted), &is), "{}", wanted);
            }
            let run = all.iter().rev().take_while(|(_, event)| !matches!(event, Event::Success));
            let counts = |(_, event): &&(u64, Event)| {
                matches!(event, Event::Failed(kind) if *kind != K::BadRequest)
            };
            prop_assert_eq!(record.run() as usize, run.filter(counts).count());
        }
    }
}
