//! Dates of the Gregorian calendar, in UTC and without leap seconds, as counts of days.
//!
//! The arithmetic is Howard Hinnant's ("chrono-Compatible Low-Level Date Algorithms"): years begin in March, so that the
//! leap day is the last of its year.

use std::time::{Duration, SystemTime};

pub(crate) const DAY: u64 = 24 * 60 * 60;

const DAYS_OF_ERA: i64 = 146_097;
/// From the first of March of the year 0 to the first of January of 1970.
const TO_EPOCH: i64 = 719_468;

/// Days from 1970-01-01 to a date; `month` and `day` count from 1. A day past the end of its month is one of the next.
pub(crate) const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * DAYS_OF_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - TO_EPOCH
}

/// The year and the month that a day is in, by its count from 1970-01-01.
pub(crate) const fn month_of(days: i64) -> (i64, i64) {
    let days = days + TO_EPOCH;
    let (era, of_era) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + (month <= 2) as i64, month)
}

/// Whole seconds since 1970 began, negative before it.
pub(crate) fn seconds(time: SystemTime) -> i64 {
    let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()) - i64::from(before.duration().subsec_nanos() > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_agree_on_every_day_of_eight_centuries() {
        let mut day = days(1600, 1, 1);
        for year in 1600..2400 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let lengths = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (length, month) in lengths.into_iter().zip(1..) {
                for of_month in 1..=length {
                    assert_eq!(days(year, month, of_month), day);
                    assert_eq!(month_of(day), (year, month));
                    day += 1;
                }
            }
        }
        assert_eq!((days(1970, 1, 1), days(2000, 3, 1), days(1969, 12, 31)), (0, 11_017, -1));
    }
}
