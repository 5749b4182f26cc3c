use std::{fmt, time::Duration};

use tokio::time::Instant;

use super::{Calendar, money::billionths};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a [`Limit`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Requests.
    Requests,
    /// Tokens, of input and output together.
    Tokens,
    /// Tokens of the input.
    InputTokens,
    /// Tokens of the output.
    OutputTokens,
    /// Requests in flight: from the pick to the end of the response's body.
    Parallel,
    /// Money, in billionths of a US dollar.
    Dollars,
}

/// The time in which no more than the [most](Limit::most) may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Window {
    /// At any moment: what is taken comes back when the request is over.
    InFlight,
    /// Any stretch of this length.
    Rolling(Duration),
    /// From one fixed point of the wall clock to the next.
    Calendar(Calendar),
}

impl From<Duration> for Window {
    fn from(length: Duration) -> Self {
        Self::Rolling(length)
    }
}

impl From<Calendar> for Window {
    fn from(calendar: Calendar) -> Self {
        Self::Calendar(calendar)
    }
}

/// So much may be taken in a time, see the [module](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    unit: Unit,
    most: u64,
    window: Window,
}

impl Limit {
    pub(super) const fn new(unit: Unit, most: u64, window: Duration) -> Self {
        Self { unit, most, window: Window::Rolling(window) }
    }

    /// At most `most` requests in any stretch of `window`; 0 means no limit, here and with the others.
    #[must_use]
    pub const fn requests(most: u64, window: Duration) -> Self {
        Self { unit: Unit::Requests, most, window: Window::Rolling(window) }
    }

    /// At most `most` tokens, of input and output together, in any stretch of `window`.
    #[must_use]
    pub const fn tokens(most: u64, window: Duration) -> Self {
        Self { unit: Unit::Tokens, most, window: Window::Rolling(window) }
    }

    /// At most `most` tokens of input in any stretch of `window`.
    #[must_use]
    pub const fn input_tokens(most: u64, window: Duration) -> Self {
        Self { unit: Unit::InputTokens, most, window: Window::Rolling(window) }
    }

    /// At most `most` tokens of output in any stretch of `window`.
    #[must_use]
    pub const fn output_tokens(most: u64, window: Duration) -> Self {
        Self { unit: Unit::OutputTokens, most, window: Window::Rolling(window) }
    }

    /// At most `most` US dollars in `window`: any stretch of a length, or a [`Calendar`]'s time.
    ///
    /// What a request is [expected](crate::Deployment::expected) to cost at the deployment's
    /// [price](crate::Deployment::price) is taken with the pick, and made exact by what `llm::Meter` finds that the answer
    /// did cost: so no more is spent beyond it than the requests in flight at the time cost more than was expected of them,
    /// taken together. Of a request that says its [most output](crate::Demand::output_tokens), what is expected is a bound,
    /// as far as its input is known. One that is [left or timed out](super#what-counts-of-a-request-without-a-whole-answer) before there is
    /// an answer costs its input; what the provider makes of it all the same, nobody here can know. A deployment without a price costs nothing until a list has one for its answer; answers that never get one are
    /// [counted](crate::deployment::UsageTotals::unpriced).
    ///
    /// Sums are kept in whole billionths of a dollar; `most` is rounded to the nearest, what is charged is rounded up.
    /// Here 0 is a limit: nothing is let through. What is less, or no number, is taken for 0.
    #[must_use]
    pub fn dollars(most: f64, window: impl Into<Window>) -> Self {
        Self { unit: Unit::Dollars, most: billionths(most), window: window.into() }
    }

    /// At most `most` requests in flight. One that comes to a quota, or to a deployment that was limited in any way
    /// before, counts those already in flight too.
    #[must_use]
    pub const fn parallel(most: u64) -> Self {
        Self { unit: Unit::Parallel, most, window: Window::InFlight }
    }

    /// Requests in a minute.
    #[must_use]
    pub const fn rpm(most: u64) -> Self {
        Self::requests(most, MINUTE)
    }

    /// Requests in 24 hours.
    #[must_use]
    pub const fn rpd(most: u64) -> Self {
        Self::requests(most, DAY)
    }

    /// Tokens in a minute.
    #[must_use]
    pub const fn tpm(most: u64) -> Self {
        Self::tokens(most, MINUTE)
    }

    /// Tokens in 24 hours.
    #[must_use]
    pub const fn tpd(most: u64) -> Self {
        Self::tokens(most, DAY)
    }

    /// Tokens of input in a minute.
    #[must_use]
    pub const fn itpm(most: u64) -> Self {
        Self::input_tokens(most, MINUTE)
    }

    /// Tokens of output in a minute.
    #[must_use]
    pub const fn otpm(most: u64) -> Self {
        Self::output_tokens(most, MINUTE)
    }

    /// The same in another time, such as a day that begins when the provider's does:
    /// `Limit::rpd(1000).within(Calendar::daily())`.
    #[must_use]
    pub fn within(mut self, window: impl Into<Window>) -> Self {
        self.window = window.into();
        self
    }

    /// What it counts.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// How much of it may be taken.
    #[must_use]
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// In which time.
    #[must_use]
    pub const fn window(&self) -> Window {
        self.window
    }

    /// Whether it limits anything.
    pub(crate) const fn is_set(&self) -> bool {
        self.most > 0 || self.is_nothing()
    }

    /// Whether nothing may be taken at all, not even what costs nothing.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.most == 0 && matches!(self.unit, Unit::Dollars)
    }

    /// Whether both are about the same, so that only one of them can hold.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        (self.unit, self.window) == (other.unit, other.window)
    }
}

impl Window {
    /// Whether it is a stretch no longer than `length`.
    pub(super) fn is_within(self, length: Duration) -> bool {
        matches!(self, Self::Rolling(own) if own <= length)
    }

    /// When what was taken at `at` counts no more; none where time alone does not end it.
    pub(super) fn end(self, at: Instant) -> Option<Instant> {
        match self {
            Self::InFlight => None,
            Self::Rolling(length) => at.checked_add(length),
            Self::Calendar(calendar) => calendar.end(at),
        }
    }

    /// Whether what is taken at `first` and at `last` may count as taken together at `last`.
    pub(super) fn is_near(self, first: Instant, last: Instant) -> bool {
        match self {
            Self::InFlight => true,
            Self::Rolling(length) => last.saturating_duration_since(first) < length / GRAINS,
            Self::Calendar(calendar) => calendar.end(first) == calendar.end(last),
        }
    }
}

/// Into so many parts a window is divided where there is too much in it to be told apart.
pub(super) const GRAINS: u32 = 64;

impl fmt::Display for Limit {
    /// Such as `5 requests in 60 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.unit.amount(self.most))?;
        match self.window {
            Window::InFlight => f.write_str(" at a time"),
            // What a provider tells of ends at odd times.
            Window::Rolling(length) => {
                write!(f, " in {} s", (length.as_secs_f64() * 1e3).round() / 1e3)
            }
            Window::Calendar(calendar) => write!(f, " in a {}", calendar.name()),
        }
    }
}

impl Unit {
    /// So much of it, such as `5 requests`.
    pub(crate) fn amount(self, amount: u64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
        let dollars = amount as f64 / 1e9;
        match self {
            Self::Dollars => format!("{dollars} dollars"),
            Self::Requests | Self::Parallel => format!("{amount} requests"),
            Self::Tokens => format!("{amount} tokens"),
            Self::InputTokens => format!("{amount} tokens of input"),
            Self::OutputTokens => format!("{amount} tokens of output"),
        }
    }
}
