use proptest::prelude::*;

use super::*;
use crate::quota::{
    Window,
    ledger::{Ledger, Room},
};

fn end(calendar: &Calendar, date: &str) -> String {
    let time = httpdate::parse_http_date(date).unwrap();
    let begun = Instant::now();
    let calendar = calendar.following(begun, time);
    let end = calendar.end(begun).unwrap();
    httpdate::fmt_http_date(time + (end - begun))
}

#[test]
fn each_period_ends_where_the_next_begins() {
    let at = "Thu, 29 Feb 2024 22:30:00 GMT";
    for (calendar, expected) in [
        (Calendar::hourly(), "Thu, 29 Feb 2024 23:00:00 GMT"),
        (Calendar::daily(), "Fri, 01 Mar 2024 00:00:00 GMT"),
        (Calendar::weekly(), "Mon, 04 Mar 2024 00:00:00 GMT"),
        (Calendar::monthly(), "Fri, 01 Mar 2024 00:00:00 GMT"),
    ] {
        assert_eq!(end(&calendar, at), expected, "{calendar:?}");
    }
    let last = "Sun, 31 Dec 2023 23:59:59 GMT";
    let monday = "Mon, 01 Jan 2024 00:00:00 GMT";
    for calendar in [Calendar::hourly(), Calendar::daily(), Calendar::weekly(), Calendar::monthly()]
    {
        assert_eq!(end(&calendar, last), monday, "{calendar:?}");
        assert_ne!(end(&calendar, monday), monday, "the end of one is of the next");
    }
}

#[test]
fn an_offset_and_a_time_of_day_move_it() {
    let six = Duration::from_secs(6 * 60 * 60);
    let at = "Wed, 31 Jan 2024 22:45:00 GMT";
    for (calendar, expected) in [
        (Calendar::daily().offset(60), "Wed, 31 Jan 2024 23:00:00 GMT"),
        (Calendar::daily().offset(120), "Thu, 01 Feb 2024 22:00:00 GMT"),
        (Calendar::daily().offset(-300), "Thu, 01 Feb 2024 05:00:00 GMT"),
        (Calendar::daily().at(six), "Thu, 01 Feb 2024 06:00:00 GMT"),
        (Calendar::daily().offset(60).at(six), "Thu, 01 Feb 2024 05:00:00 GMT"),
        (Calendar::daily().at(Duration::from_secs(23 * 3600)), "Wed, 31 Jan 2024 23:00:00 GMT"),
        (Calendar::monthly().offset(60), "Wed, 31 Jan 2024 23:00:00 GMT"),
        (Calendar::monthly().offset(120), "Thu, 29 Feb 2024 22:00:00 GMT"),
        (Calendar::hourly().offset(330).at(six), "Wed, 31 Jan 2024 23:30:00 GMT"),
        (Calendar::weekly().at(six), "Mon, 05 Feb 2024 06:00:00 GMT"),
    ] {
        assert_eq!(end(&calendar, at), expected, "{calendar:?}");
    }
}

#[test]
fn two_that_were_made_at_different_times_are_the_same() {
    let before = Instant::now() - Duration::from_secs(60);
    let early = Calendar::daily().following(before, SystemTime::UNIX_EPOCH);
    assert_eq!(early, Calendar::daily());
    assert_ne!(early, early.offset(60));
    assert_ne!(Calendar::daily(), Calendar::weekly());
}

proptest! {
    #[test]
    fn a_time_is_before_its_end_and_all_until_then_have_the_same(
        time in 0..4_000_000_000_i64,
        east in -720..840_i32,
        late in 0..86_400_u64,
        share in 0.0..1.0_f64,
    ) {
        for calendar in [Calendar::hourly(), Calendar::daily(), Calendar::weekly(), Calendar::monthly()] {
            let calendar = calendar.offset(east).at(Duration::from_secs(late));
            let end = calendar.end_after(time);
            prop_assert!(time < end && end - time <= 31 * A_DAY);
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small")]
            let between = time + ((end - 1 - time) as f64 * share) as i64;
            prop_assert_eq!(calendar.end_after(between), end);
            prop_assert!(calendar.end_after(end) > end);
        }
    }

    #[test]
    fn no_moment_makes_it_panic(before: u32, after: u64, early: bool, east: i32) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(before));
        let begun = Instant::now();
        let calendar = Calendar::monthly().offset(east).following(begun, time);
        let after = Duration::from_secs(after);
        let at = if early { begun.checked_sub(after) } else { begun.checked_add(after) };
        let _ = at.and_then(|at| calendar.end(at));
    }
}

proptest! {
    #[test]
    fn no_period_has_more_than_the_most_and_the_wait_is_until_its_end(
        most in 1..100_u64,
        asked in prop::collection::vec((0..40_u64, 0..200_000_u64), 1..300),
    ) {
        let begun = Instant::now();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let calendar = Calendar::daily().following(begun, time);
        let mut ledger = Ledger::new(Window::Calendar(calendar));
        let mut now = begun;
        let (mut end, mut taken) = (begun, 0);
        for (cost, pause) in asked {
            now += Duration::from_secs(pause / 10);
            if calendar.end(now) != Some(end) {
                (end, taken) = (calendar.end(now).unwrap(), 0);
            }
            let expected = match cost {
                0 => Room::Open,
                cost if cost > most => Room::Never,
                cost if taken + cost > most => Room::Until(end),
                _ => Room::Open,
            };
            prop_assert_eq!(ledger.room(cost, most, now), expected);
            if expected == Room::Open {
                ledger.charge(cost, now);
                taken += cost;
            }
            prop_assert_eq!(ledger.used(), taken);
        }
    }
}
