/// A number that follows its samples, and when the last of them came: one word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    /// At least [`LEAST`]; negated where it is but a bound, for want of a sample.
    value: f32,
    /// In milliseconds of a clock that wraps after 49 days.
    at: u32,
}

/// How far one answer moves the share of failures, at least and at most: with many answers it is that of the last few
/// dozen, and with few, one failure alone is no ruin.
const STEP: (f32, f32) = (1.0 / 32.0, 0.25);

/// Above 0, so that no estimate has the word of none, and far enough for what is left of it to be a number like others:
/// subnormal ones are slow.
const LEAST: f32 = 1e-12;

/// By how many milliseconds a sample may be later than whoever reads it. The rest of the clock's round is for its age: in
/// halves, one of a month would be taken for new.
const AHEAD: u32 = 60_000;

impl Estimate {
    const fn new(value: f32, at: u32) -> Self {
        Self { value: value.max(LEAST), at }
    }

    const fn bound(value: f32, at: u32) -> Self {
        Self { value: -value.max(LEAST), at }
    }

    pub(super) const fn of_word(word: u64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "the halves of the word")]
        let (value, at) = (f32::from_bits((word >> 32) as u32), word as u32);
        if word == 0 { None } else { Some(Self { value, at }) }
    }

    pub(super) const fn word(self) -> u64 {
        (self.value.to_bits() as u64) << 32 | self.at as u64
    }

    pub(super) const fn value(self) -> f32 {
        self.value.abs()
    }

    /// Whether all that is known is that it is no less.
    pub(super) const fn is_bound(self) -> bool {
        self.value < 0.0
    }

    /// Whether it is next to nothing.
    pub(super) const fn is_least(self) -> bool {
        self.value() < 1e-6
    }

    /// What is left of it after so many `seconds`. `rate` is one by the decay time, in seconds.
    #[inline]
    pub(super) fn faded(self, seconds: f32, rate: f32) -> f32 {
        // (1 - x / 256)^256 for e^-x: for x up to 3 within 2 %, then less. It may be read for each candidate of a pick.
        let mut left = (1.0 - seconds * rate * (1.0 / 256.0)).max(0.0);
        for _ in 0..8 {
            left *= left;
        }
        self.value() * left
    }

    /// The seconds since the last sample, up to 49 days. A sample that another thread took later is of now.
    #[inline]
    pub(super) fn age(self, now: u32) -> f32 {
        let milliseconds = now.wrapping_sub(self.at);
        let is_ahead = milliseconds > u32::MAX - AHEAD;
        #[expect(clippy::cast_precision_loss, reason = "an age of hours needs no milliseconds")]
        let age = if is_ahead { 0.0 } else { milliseconds as f32 * 1e-3 };
        age
    }

    /// A peak average: what is above the estimate is it at once, what is below moves it by the time since the last
    /// sample.
    pub(super) fn peak(before: Option<Self>, sample: f32, now: u32, rate: f32) -> Self {
        let value = match before {
            Some(before) if before.value() > sample => {
                let kept = (-before.age(now) * rate).exp();
                before.value() * kept + sample * (1.0 - kept)
            }
            _ => sample,
        };
        Self::new(value, now)
    }

    /// An average of ones and zeros, by the time since the last sample, within [`STEP`]; but a zero after a long time is
    /// believed like any sample that is lower.
    pub(super) fn share(before: Option<Self>, hit: bool, now: u32, rate: f32) -> Self {
        let (value, elapsed) =
            before.map_or((0.0, f32::INFINITY), |before| (before.value, before.age(now)));
        let most = if hit { STEP.1 } else { 1.0 };
        let step = (1.0 - (-elapsed * rate).exp()).clamp(STEP.0, most);
        Self::new(value + step * (f32::from(u8::from(hit)) - value), now)
    }

    /// The sample is at least this: a lower one tells only that nothing better is known.
    pub(super) fn at_least(before: Option<Self>, sample: f32, now: u32) -> Self {
        match before {
            Some(before) if !before.is_bound() => Self::new(before.value().max(sample), now),
            before => Self::bound(before.map_or(sample, |before| before.value().max(sample)), now),
        }
    }
}
