use std::{
    hash::{Hash, Hasher},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::civil::{self, DAY};

const HOUR: i64 = 60 * 60;
const A_DAY: i64 = DAY.cast_signed();
/// 1970 began on a Thursday, and weeks begin on Mondays.
const TO_MONDAY: i64 = 4 * A_DAY;

/// A time that begins anew at fixed points of the wall clock: each hour, day, week or month.
///
/// In UTC, unless an [offset](Self::offset) says otherwise; there is no daylight saving time. The wall clock is read
/// once, when this is made, and followed by tokio's clock from then on: so a clock that is set back opens no budget
/// twice, and tests can pause time. A machine that sleeps may make it late by as much.
///
/// ```
/// use std::time::Duration;
/// use tower_fleet::quota::{Calendar, Limit};
///
/// // 20 dollars a day, which begins at six o'clock in the morning of Berlin's winter.
/// let berlin = Calendar::daily().offset(60).at(Duration::from_secs(6 * 60 * 60));
/// let budget = Limit::dollars(20.0, berlin);
/// # let _ = budget;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    period: Period,
    /// Seconds east of Greenwich.
    east: i64,
    /// Seconds into the period at which it begins.
    late: i64,
    clock: Clock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Period {
    Hour,
    Day,
    Week,
    Month,
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
struct Clock {
    instant: Instant,
    time: SystemTime,
}

impl Calendar {
    fn new(period: Period) -> Self {
        let clock = Clock { instant: Instant::now(), time: SystemTime::now() };
        Self { period, east: 0, late: 0, clock }
    }

    /// Begins with each hour.
    #[must_use]
    pub fn hourly() -> Self {
        Self::new(Period::Hour)
    }

    /// Begins with each day.
    #[must_use]
    pub fn daily() -> Self {
        Self::new(Period::Day)
    }

    /// Begins with each week, on Monday as in ISO 8601.
    #[must_use]
    pub fn weekly() -> Self {
        Self::new(Period::Week)
    }

    /// Begins with each month.
    #[must_use]
    pub fn monthly() -> Self {
        Self::new(Period::Month)
    }

    /// How many minutes the wall clock is ahead of UTC; negative in the west. Default 0.
    #[must_use]
    pub fn offset(mut self, minutes: i32) -> Self {
        self.east = i64::from(minutes) * 60;
        self
    }

    /// At which time of day it begins anew; of a day's length, the rest counts. Hours begin with the hour all the same.
    /// Default: at midnight. LiteLLM's `daily_reset_time`.
    #[must_use]
    pub fn at(mut self, time_of_day: Duration) -> Self {
        self.late = i64::try_from(time_of_day.as_secs() % DAY).unwrap_or_default();
        self
    }

    /// What it is a time of.
    pub(super) const fn name(&self) -> &'static str {
        match self.period {
            Period::Hour => "calendar hour",
            Period::Day => "calendar day",
            Period::Week => "calendar week",
            Period::Month => "calendar month",
        }
    }

    /// Follows the clocks from another moment on.
    #[cfg(test)]
    pub(super) fn following(mut self, instant: Instant, time: SystemTime) -> Self {
        self.clock = Clock { instant, time };
        self
    }

    /// When the time that `at` is in is over; none beyond what the clocks can tell.
    pub(super) fn end(&self, at: Instant) -> Option<Instant> {
        let Clock { instant, time } = self.clock;
        let at = match at.checked_duration_since(instant) {
            Some(after) => time.checked_add(after)?,
            None => time.checked_sub(instant.saturating_duration_since(at))?,
        };
        let end = self.end_after(civil::seconds(at));
        let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(end.try_into().ok()?))?;
        match end.duration_since(time) {
            Ok(after) => instant.checked_add(after),
            Err(before) => instant.checked_sub(before.duration()),
        }
    }

    /// In seconds since 1970.
    fn end_after(&self, time: i64) -> i64 {
        let late = if self.period == Period::Hour { 0 } else { self.late };
        let shift = self.east - late;
        let local = time + shift;
        let next = |length: i64| (local.div_euclid(length) + 1) * length;
        let end = match self.period {
            Period::Hour => next(HOUR),
            Period::Day => next(A_DAY),
            Period::Week => {
                let week = 7 * A_DAY;
                ((local - TO_MONDAY).div_euclid(week) + 1) * week + TO_MONDAY
            }
            Period::Month => {
                let (year, month) = civil::month_of(local.div_euclid(A_DAY));
                let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                civil::days(year, month, 1) * A_DAY
            }
        };
        end - shift
    }
}

/// Two that begin at the same times are equal, whenever they were made.
impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        (self.period, self.east, self.late) == (other.period, other.east, other.late)
    }
}

impl Eq for Calendar {}

impl Hash for Calendar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.period, self.east, self.late).hash(state);
    }
}

#[cfg(test)]
mod tests;
