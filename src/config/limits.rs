//! How much a deployment, or a group of them, may take.

use std::time::Duration;

use super::{Budget, field::Field, read::Section};

/// How much may be taken: of a deployment, or of all that are in a quota group together.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Requests a minute. Of a deployment this and `tpm` are [weights](super::weights), and limits only where the router
    /// [enforces](super::RouterSettings::enforces_rates) them.
    pub rpm: Option<u64>,
    /// Tokens a minute, of input and output together.
    pub tpm: Option<u64>,
    /// Tokens of input a minute.
    pub itpm: Option<u64>,
    /// Tokens of output a minute.
    pub otpm: Option<u64>,
    /// Requests a day.
    pub rpd: Option<u64>,
    /// Tokens a day.
    pub tpd: Option<u64>,
    /// The time of day, in UTC, at which the day of `rpd` and `tpd` begins. Without it they hold for any 24 hours.
    pub daily_reset_time: Option<Duration>,
    /// Requests in flight; 0 means no limit, whatever the router's default.
    pub max_parallel_requests: Option<u32>,
    /// Money.
    pub budget: Option<Budget>,
}

impl Limits {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let mut count = |key| section.take(key).and_then(|field| field.count());
        let (rpm, tpm, itpm, otpm) = (count("rpm"), count("tpm"), count("itpm"), count("otpm"));
        let (rpd, tpd) = (count("rpd"), count("tpd"));
        let at_reset = section.at_of("daily_reset_time");
        let daily_reset_time =
            section.take("daily_reset_time").and_then(|field| time_of_day(&field));
        if daily_reset_time.is_some() && rpd.or(tpd).is_none() {
            at_reset.warn("no effect without `rpd` or `tpd`");
        }
        Self {
            rpm,
            tpm,
            itpm,
            otpm,
            rpd,
            tpd,
            daily_reset_time,
            max_parallel_requests: section
                .take("max_parallel_requests")
                .and_then(|field| field.count()),
            budget: Budget::read(section),
        }
    }

    /// The requests it may have in flight: its own number, or else what LiteLLM derives, which is `rpm`, or else 6 for
    /// each 1000 of `tpm` and at least one.
    pub(super) fn parallel(&self) -> Option<u32> {
        let of_tpm = |tpm: u64| (tpm.saturating_mul(6) / 1000).max(1);
        let derived = || self.rpm.or_else(|| self.tpm.map(of_tpm));
        let derived = || derived().map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
        self.max_parallel_requests.or_else(derived)
    }

    /// Whether nothing may be taken at all, which a 0 says in LiteLLM too.
    pub(super) fn are_zero(&self, enforces_rates: bool) -> bool {
        let rates = if enforces_rates { [self.rpm, self.tpm] } else { [None; 2] };
        let others = [self.itpm, self.otpm, self.rpd, self.tpd];
        rates.into_iter().chain(others).any(|limit| limit == Some(0))
    }
}

/// Hours and minutes, such as `06:30`.
fn time_of_day(field: &Field<'_>) -> Option<Duration> {
    const EXPECTED: &str = "a time of day in UTC, such as \"06:30\"";
    let text = field.text_or(EXPECTED)?;
    let number = |digits: &str, below: u64| {
        let is_number =
            (1..=2).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|number| is_number && *number < below)
    };
    let time = text.split_once(':').and_then(|(hours, minutes)| {
        Some(Duration::from_secs(number(hours, 24)? * 3600 + number(minutes, 60)? * 60))
    });
    if time.is_none() {
        field.wrong(EXPECTED);
    }
    time
}
