//! How long a server asks to be left alone: the values of two headers, a line each.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use tower_fleet::outcome::{RetryAfterLimits, retry_after};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// A wait is never longer than the limits allow, and whole seconds are what they say.
pub fn run(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "retry-after-ms"] {
        if let Some(Ok(value)) = lines.next().map(HeaderValue::from_bytes) {
            headers.insert(name, value);
        }
    }
    let wait = retry_after(&headers, NOW);
    if let Some(wait) = wait {
        let allowed = RetryAfterLimits::new().apply(wait);
        assert!((Duration::from_secs(1)..=Duration::from_secs(300)).contains(&allowed));
        assert_eq!(RetryAfterLimits::new().exceeded_by(wait), wait > allowed);
    }

    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
    let is_signed =
        |name: &str| headers.get(name).is_some_and(|value| value.as_bytes().contains(&b'+'));
    match (number("retry-after-ms"), number("retry-after")) {
        (Some(millis), _) if !is_signed("retry-after-ms") => {
            let error = wait.expect("a wait").as_secs_f64() - f64::from(millis) / 1000.0;
            assert!(error.abs() < 1e-6);
        }
        (_, Some(seconds))
            if !headers.contains_key("retry-after-ms") && !is_signed("retry-after") =>
        {
            assert_eq!(wait, Some(Duration::from_secs(seconds.into())));
        }
        _ => {}
    }
}
