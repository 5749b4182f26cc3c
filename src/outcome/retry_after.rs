//! How long a server asked to be left alone.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use super::delay::{date, number, seconds};

/// How long the server asked to be left alone, counted from `now`.
///
/// Read from `retry-after-ms` (milliseconds) if that is there and sound, else from `Retry-After` ([RFC 9110]): seconds
/// or an HTTP date, a past one being zero. Both numbers may have a fraction, as some APIs send them. Anything else,
/// such as a negative number, is as good as absent.
///
/// The result is what the server said, up to [`Duration::MAX`], which added to a point in time would panic: pass it
/// through [`RetryAfterLimits`] first.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
/// use tower_fleet::outcome::retry_after;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("2.5"));
/// assert_eq!(retry_after(&headers, SystemTime::now()), Some(Duration::from_millis(2500)));
/// ```
///
/// [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(number) {
        return Some(seconds(millis / 1000.0));
    }
    let value = text(RETRY_AFTER.as_str())?;
    number(value).map(seconds).or_else(|| date(value, now))
}

/// The bounds within which a server's [`retry_after`] is taken at its word.
///
/// ```
/// use std::time::Duration;
/// use tower_fleet::outcome::RetryAfterLimits;
///
/// let limits = RetryAfterLimits::new().cap(Duration::from_secs(60));
/// assert_eq!(limits.apply(Duration::ZERO), Duration::from_secs(1));
/// assert_eq!(limits.apply(Duration::from_secs(86_400)), Duration::from_secs(60));
/// assert!(limits.exceeded_by(Duration::from_secs(86_400)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfterLimits {
    floor: Duration,
    cap: Duration,
}

impl RetryAfterLimits {
    /// From one second to five minutes.
    #[must_use]
    pub const fn new() -> Self {
        Self { floor: Duration::from_secs(1), cap: Duration::from_secs(5 * 60) }
    }

    /// Sets the least (default: one second, as a server that fails and says "0" would be asked again and again).
    #[must_use]
    pub const fn floor(mut self, floor: Duration) -> Self {
        self.floor = floor;
        self
    }

    /// Sets the most (default: five minutes, as one header should not take a deployment away for a day).
    ///
    /// A cap below the floor wins over it.
    #[must_use]
    pub const fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// The delay, raised to the floor and cut to the cap.
    #[must_use]
    pub fn apply(&self, delay: Duration) -> Duration {
        delay.max(self.floor).min(self.cap)
    }

    /// Whether the server asks for more than the cap, so that waiting for as long as the cap would be in vain.
    #[must_use]
    pub fn exceeded_by(&self, delay: Duration) -> bool {
        delay > self.cap
    }
}

impl Default for RetryAfterLimits {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn read(pairs: &[(&'static str, &str)]) -> Option<Duration> {
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        retry_after(&headers, NOW)
    }

    #[test]
    fn seconds_fractions_and_dates_are_read() {
        let millis = |millis| Some(Duration::from_millis(millis));
        for (value, expected) in [
            ("0", millis(0)),
            ("120", millis(120_000)),
            ("2.5", millis(2500)),
            (".25", millis(250)),
            ("  7\t", millis(7000)),
            ("007", millis(7000)),
            ("86400", millis(86_400_000)),
            ("Thu, 01 Jan 1970 00:01:00 GMT", millis(60_000)),
            (" Thu, 01 Jan 1970 00:01:00 GMT ", millis(60_000)),
            ("99999999999999999999999", Some(Duration::MAX)),
        ] {
            assert_eq!(read(&[("retry-after", value)]), expected, "{value:?}");
        }
        assert_eq!(read(&[("retry-after", &"9".repeat(400))]), Some(Duration::MAX));
    }

    #[test]
    fn a_past_date_is_zero() {
        let headers = [(RETRY_AFTER, HeaderValue::from_static("Wed, 21 Oct 2015 07:28:00 GMT"))]
            .into_iter()
            .collect();
        assert_eq!(retry_after(&headers, SystemTime::now()), Some(Duration::ZERO));
    }

    #[test]
    fn garbage_is_ignored() {
        for value in [
            "", " ", ".", "-1", "-0", "+1", "NaN", "inf", "infinity", "1e3", "1.2.3", "1,5", "5 s",
            "0x10", "soon", "٣",
        ] {
            assert_eq!(read(&[("retry-after", value)]), None, "{value:?}");
            assert_eq!(read(&[("retry-after-ms", value)]), None, "{value:?}");
        }
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn milliseconds_go_first_when_they_are_sound() {
        assert_eq!(
            read(&[("retry-after-ms", "1500"), ("retry-after", "9")]),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(read(&[("retry-after-ms", "0.5")]), Some(Duration::from_micros(500)));
        assert_eq!(
            read(&[("retry-after-ms", "soon"), ("retry-after", "9")]),
            Some(Duration::from_secs(9))
        );
    }

    #[test]
    fn a_cap_below_the_floor_wins() {
        let limits =
            RetryAfterLimits::new().floor(Duration::from_secs(9)).cap(Duration::from_secs(3));
        assert_eq!(limits.apply(Duration::ZERO), Duration::from_secs(3));
        assert_eq!(limits.apply(Duration::MAX), Duration::from_secs(3));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(bytes: Vec<u8>, text in "[0-9.eE+\\-infNaA :,GMT]{0,40}") {
            for value in [HeaderValue::from_bytes(&bytes), HeaderValue::from_str(&text)].into_iter().flatten() {
                for name in ["retry-after", "retry-after-ms"] {
                    let headers = [(name.parse().unwrap(), value.clone())].into_iter().collect();
                    if let Some(delay) = retry_after(&headers, NOW) {
                        prop_assert!(RetryAfterLimits::new().apply(delay) <= Duration::from_secs(300));
                    }
                }
            }
        }

        #[test]
        fn dates_round_trip(delay in 0..253_402_300_799_u64) {
            let delay = Duration::from_secs(delay);
            let date = httpdate::fmt_http_date(NOW + delay);
            prop_assert_eq!(read(&[("retry-after", &date)]), Some(delay));
        }

        #[test]
        fn whole_numbers_are_exact(number: u32) {
            let number_text = number.to_string();
            prop_assert_eq!(read(&[("retry-after", &number_text)]), Some(Duration::from_secs(number.into())));
            prop_assert_eq!(read(&[("retry-after-ms", &number_text)]), Some(Duration::from_millis(number.into())));
        }
    }
}
