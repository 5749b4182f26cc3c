//! The forms in which servers say when something will be.

use std::time::{Duration, SystemTime};

use crate::civil;

/// Above this a number of seconds is a point in time: as a delay it would be more than thirty years.
const IS_UNIX_TIME: f64 = 1e9;
/// Above this such a number counts milliseconds.
const IS_IN_MILLISECONDS: f64 = 1e11;

/// How long from `now` until what `text` says: seconds, spans such as `1h30m`, `59.14s` or `200ms`, a Unix time in
/// seconds or milliseconds, an HTTP date or one of RFC 3339. What is past is zero; nonsense is none.
pub(crate) fn until(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    match number(text) {
        Some(many) if many >= IS_IN_MILLISECONDS => Some(since(seconds(many / 1000.0), now)),
        Some(many) if many >= IS_UNIX_TIME => Some(since(seconds(many), now)),
        Some(few) => Some(seconds(few)),
        None => span(text).or_else(|| date(text, now)).or_else(|| timestamp(text, now)),
    }
}

/// A number of digits and at most one point: no sign, exponent, infinity or NaN, all of which `f64` would parse.
pub(super) fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| plain)
}

/// Saturates; `seconds` is never negative here.
pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// An HTTP date.
pub(super) fn date(text: &str, now: SystemTime) -> Option<Duration> {
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// From `now` to a time since 1970.
fn since(epoch: Duration, now: SystemTime) -> Duration {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    epoch.saturating_sub(now)
}

/// Numbers that are each followed by a unit.
fn span(mut text: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    loop {
        let unit = text.find(|sign: char| !sign.is_ascii_digit() && sign != '.')?;
        let (many, rest) = text.split_at(unit);
        let end = rest.find(|sign: char| sign.is_ascii_digit() || sign == '.');
        let (unit, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let length = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        sum = sum.saturating_add(seconds(number(many)? * length));
        if rest.is_empty() {
            return Some(sum);
        }
        text = rest;
    }
}

/// `2025-01-31T12:00:00.5Z` or with an offset such as `+01:00` ([RFC 3339]).
///
/// [RFC 3339]: https://www.rfc-editor.org/rfc/rfc3339#section-5.6
fn timestamp(text: &str, now: SystemTime) -> Option<Duration> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.strip_prefix(['T', 't', ' '])?.split_at_checked(8)?;
    let (fraction, zone) = rest.split_at(rest.find(['Z', 'z', '+', '-'])?);
    let nanos = match fraction.strip_prefix('.') {
        Some(digits) => digit_fraction(digits)?,
        None if fraction.is_empty() => Duration::ZERO,
        None => return None,
    };
    let [year, month, day] = three(date, '-')?;
    let [hour, minute, second] = three(time, ':')?;
    // A leap second is the last one of its minute, here as on most clocks.
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let local = civil::days(year, month, day) * civil::DAY.cast_signed()
        + hour * 3600
        + minute * 60
        + second.min(59);
    let epoch = u64::try_from(local - offset(zone)?).ok().filter(|_| in_range)?;
    Some(since(Duration::from_secs(epoch) + nanos, now))
}

fn digit_fraction(digits: &str) -> Option<Duration> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let nanos = digits.get(..digits.len().min(9)).filter(|_| plain)?;
    let scale = 10_u64.pow(9 - u32::try_from(nanos.len()).ok()?);
    Some(Duration::from_nanos(nanos.parse::<u64>().ok()? * scale))
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    let east = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return (zone.len() == 1).then_some(0),
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (whole(hours)?, whole(minutes)?);
    (hours < 24 && minutes < 60).then_some(east * (hours * 3600 + minutes * 60))
}

fn three(text: &str, sign: char) -> Option<[i64; 3]> {
    let mut parts = text.split(sign).map(whole);
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// A number of digits alone.
fn whole(digits: &str) -> Option<i64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn read(text: &str) -> Option<Duration> {
        until(text, SystemTime::UNIX_EPOCH + NOW)
    }

    #[test]
    fn every_form_that_providers_use_is_read() {
        for (text, millis) in [
            ("1s", 1000),
            ("6m0s", 360_000),
            ("59.14s", 59_140),
            ("200ms", 200),
            ("1h30m", 5_400_000),
            ("2m59.56s", 179_560),
            ("1d", 86_400_000),
            ("15us", 0),
            ("0", 0),
            (" 7.5 ", 7500),
            ("30", 30_000),
            ("1700000060", 60_000),
            ("1700000060500", 60_500),
            ("1600000000", 0),
            ("Tue, 14 Nov 2023 22:14:20 GMT", 60_000),
            ("2023-11-14T22:14:20Z", 60_000),
            ("2023-11-14T22:14:20.25z", 60_250),
            ("2023-11-14T23:14:20+01:00", 60_000),
            ("2023-11-14 17:14:20.1234567891-05:00", 60_123),
            ("2023-11-14T22:13:60Z", 39_000),
            ("1980-01-01T00:00:00Z", 0),
        ] {
            let read = read(text).map(|delay| delay.as_millis());
            assert_eq!(read, Some(millis), "{text:?}");
        }
    }

    #[test]
    fn nonsense_is_none() {
        for text in [
            "",
            " ",
            ".",
            "s",
            "-1s",
            "1x",
            "1s2",
            "1 s",
            "1m-2s",
            "+5",
            "1e9",
            "soon",
            "1..2s",
            "2023-11-14",
            "2023-11-14T22:14:20",
            "2023-13-14T22:14:20Z",
            "2023-11-14T25:14:20Z",
            "2023-11-14T22:14:20.Z",
            "2023-11-14T22:14:20+0100",
            "20é3-11-14T22:14:20Z",
            "٣s",
            "2023-11-14T22:14:20Z ago",
            "1900-01-01T00:00:00Z",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(any: String, like in "[0-9.:TZzhmsdnu+\\- µ]{0,40}") {
            let _ = (read(&any), read(&like));
        }

        #[test]
        fn a_timestamp_is_its_unix_time(after in 0..4_000_000_000_u64) {
            let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + NOW + Duration::from_secs(after));
            let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
            let month = 1 + months.iter().position(|name| *name == &date[8..11]).unwrap();
            let text = format!("{}-{month:02}-{}T{}Z", &date[12..16], &date[5..7], &date[17..25]);
            prop_assert_eq!(read(&text), Some(Duration::from_secs(after)), "{}", text);
        }
    }
}
