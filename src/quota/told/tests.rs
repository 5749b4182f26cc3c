use proptest::prelude::*;

use super::*;

const START: u64 = 100;

fn charge(requests: u64, input: u64) -> Charge {
    Charge { requests, input, ..Charge::default() }
}

fn requests(remaining: u64, seconds: u64) -> Reported {
    let left =
        Left { remaining, limit: None, reset: Duration::from_secs(seconds), refills_to: None };
    Reported { requests: Some(left), ..Reported::default() }
}

fn evenly(remaining: u64, seconds: u64, limit: u64) -> Left {
    let (limit, reset) = (Some(limit), Duration::from_secs(seconds));
    Left { remaining, limit, reset, refills_to: limit }
}

/// A clock of whole seconds.
struct Clock(Instant);

impl Clock {
    fn at(&self, second: u64) -> Instant {
        self.0 + Duration::from_secs(second)
    }
}

fn clock() -> Clock {
    Clock(Instant::now())
}

#[test]
fn what_nobody_tells_of_is_not_limited() {
    let (mut told, clock) = (Told::default(), clock());
    assert!(told.shortage(&charge(u64::MAX, u64::MAX), clock.at(0)).is_none());
    told.report(&requests(0, 9), |_| true, clock.at(0));
    assert!(told.shortage(&charge(0, u64::MAX), clock.at(0)).is_none());
    let shortage = told.shortage(&charge(1, 1), clock.at(0)).unwrap();
    assert_eq!((shortage.room, shortage.cost), (Room::Until(clock.at(9)), 1));
    assert_eq!(shortage.limit.unit(), Unit::Requests);
}

#[test]
fn it_holds_until_the_reset_and_no_longer() {
    let (mut told, clock) = (Told::default(), clock());
    told.report(&requests(0, 9), |_| true, clock.at(0));
    assert!(told.shortage(&charge(1, 0), clock.at(8)).is_some());
    assert!(told.shortage(&charge(1, 0), clock.at(9)).is_none());
    told.report(&requests(0, u64::MAX), |_| true, clock.at(9));
    assert!(told.shortage(&charge(1, 0), clock.at(68)).is_some());
    assert!(told.shortage(&charge(1, 0), clock.at(69)).is_none());
}

#[test]
fn what_comes_back_evenly_is_there_once_it_is_enough() {
    let (mut told, clock) = (Told::default(), clock());
    let left = evenly(10, 45, 100);
    let reported = Reported { input_tokens: Some(left), ..Reported::default() };
    told.report(&reported, |_| true, clock.at(0));
    let room = |told: &Told, cost, now| {
        told.shortage(&charge(1, cost), clock.at(now)).map(|shortage| shortage.room)
    };
    assert_eq!(room(&told, 10, 0), None);
    assert_eq!(room(&told, 12, 0), Some(Room::Until(clock.at(1))), "two in a second");
    assert_eq!(room(&told, 12, 1), None);
    assert_eq!(room(&told, 100, 0), Some(Room::Until(clock.at(45))));
    assert_eq!(room(&told, 101, 0), Some(Room::Until(clock.at(45))), "whatever it is");
    told.take(&charge(1, 12));
    assert_eq!(room(&told, 10, 1), Some(Room::Until(clock.at(6))), "what is taken is gone");
    assert_eq!(room(&told, u64::MAX, 45), None);
}

#[test]
fn units_that_do_not_count_are_not_entered() {
    let (mut told, clock) = (Told::default(), clock());
    told.report(&requests(0, 9), |unit| unit == Unit::Tokens, clock.at(0));
    assert!(told.shortage(&charge(1, 0), clock.at(0)).is_none());
}

#[test]
fn only_a_report_of_more_or_sooner_is_news_for_those_who_wait() {
    let (mut told, clock) = (Told::default(), clock());
    assert!(!told.report(&requests(5, 9), |_| true, clock.at(0)), "nobody waited for it");
    assert!(!told.report(&requests(5, 9), |_| true, clock.at(1)));
    assert!(!told.report(&requests(4, 20), |_| true, clock.at(1)));
    assert!(told.report(&requests(5, 20), |_| true, clock.at(1)));
    assert!(told.report(&requests(0, 3), |_| true, clock.at(1)));
}

#[test]
#[expect(clippy::float_cmp, reason = "the shares are exact")]
fn the_headroom_is_what_is_left_of_the_limit_or_of_the_most_there_was() {
    let (mut told, clock) = (Told::default(), clock());
    let headroom = |told: &Told, at| told.headroom(|_| None, clock.at(at));
    assert_eq!(headroom(&told, 0), 1.0);
    told.report(&requests(64, 9), |_| true, clock.at(0));
    assert_eq!(headroom(&told, 0), 1.0, "there is nothing to compare it with");
    let configured = |unit| (unit == Unit::Requests).then_some(128);
    assert_eq!(told.headroom(configured, clock.at(0)), 0.5);
    told.take(&charge(32, 0));
    assert_eq!(headroom(&told, 0), 0.5);
    told.report(&requests(48, 9), |_| true, clock.at(0));
    assert_eq!(headroom(&told, 0), 0.25, "less what is under way, of the 64 there were");
    assert_eq!(headroom(&told, 9), 1.0, "the report is out of date");
    let limited = Left { limit: Some(100), ..requests(64, 9).requests.unwrap() };
    let reported = Reported { requests: Some(limited), ..Reported::default() };
    told.answered(&charge(32, 0));
    told.report(&reported, |_| true, clock.at(0));
    assert_eq!(headroom(&told, 0), 0.64);
    told.take(&charge(1000, 0));
    assert_eq!(headroom(&told, 0), 0.0);
}

#[test]
#[expect(clippy::float_cmp, reason = "the shares are exact")]
fn the_headroom_grows_with_what_comes_back_evenly() {
    let (mut told, clock) = (Told::default(), clock());
    let reported = Reported { tokens: Some(evenly(0, 32, 100)), ..Reported::default() };
    told.report(&reported, |_| true, clock.at(0));
    let shares = [0, 8, 24, 32].map(|at| told.headroom(|_| None, clock.at(at)));
    assert_eq!(shares, [0.0, 0.25, 0.75, 1.0]);
    let half_a_second = Duration::from_millis(500);
    assert_eq!(told.next_change(clock.at(8)), Some(clock.at(8) + half_a_second));
    assert_eq!(told.next_change(clock.at(32)), None);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Take,
    /// The oldest of those under way ends so.
    Answer,
    Unsent,
}

proptest! {
    /// However requests come and go, what is let through after a report is at most what it left, less what was under
    /// way then; and whatever was taken is no longer under way at the end.
    #[test]
    fn no_more_than_is_left_is_let_through(
        before in 0..20_u64,
        remaining in 0..40_u64,
        steps in prop::collection::vec(
            prop_oneof![3 => Just(Step::Take), 2 => Just(Step::Answer), 1 => Just(Step::Unsent)],
            0..200,
        ),
    ) {
        let (mut told, clock) = (Told::default(), clock());
        let one = charge(1, START);
        (0..before).for_each(|_| told.take(&one));
        told.report(&requests(remaining, 30), |_| true, clock.at(0));
        let (mut sent, mut under_way) = (0, before);
        for step in steps {
            match step {
                Step::Take => {
                    let room = told.shortage(&one, clock.at(1)).is_none();
                    prop_assert_eq!(room, sent + before < remaining);
                    if room {
                        told.take(&one);
                        (sent, under_way) = (sent + 1, under_way + 1);
                    }
                }
                Step::Answer if under_way > 0 => {
                    told.answered(&one);
                    under_way -= 1;
                }
                // Those that were under way before the report may have been sent as well as not.
                Step::Unsent if sent > 0 && under_way > 0 && before <= remaining => {
                    told.give_back(&one);
                    (sent, under_way) = (sent - 1, under_way - 1);
                }
                _ => {}
            }
            prop_assert_eq!(told.unanswered.requests, under_way);
        }
    }
}
