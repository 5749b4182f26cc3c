//! How each simulated deployment behaves.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use super::answer::{error, input_tokens};
use crate::errors::retry_after;

pub(super) struct Manner {
    pub(super) group: &'static str,
    pub(super) id: &'static str,
    pub(super) words: &'static str,
    /// Until an answer, and between the words of a stream.
    pub(super) delay: Duration,
    /// What a million tokens cost, of the input and of the output, in US dollars.
    pub(super) price: (f64, f64),
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sound,
    Flaky,
    Limited,
    /// Its limit stands in the configuration.
    Rated,
    /// Takes what is too much for the one before it.
    Spare,
    Small,
    Anthropic,
}

/// The tokens a small one takes.
const WINDOW: usize = 16;

const fn manner(
    (group, id): (&'static str, &'static str),
    words: &'static str,
    millis: u64,
    price: (f64, f64),
    kind: Kind,
) -> Manner {
    Manner { group, id, words, delay: Duration::from_millis(millis), price, kind }
}

pub(super) static MANNERS: &[Manner] = &[
    manner(("chat", "quick"), "answers in 40 ms", 40, (2.5, 10.0), Kind::Sound),
    manner(("chat", "slow"), "answers in 400 ms", 400, (0.5, 2.0), Kind::Sound),
    manner(
        ("chat", "flaky"),
        "answers in 40 ms, fails every third time",
        40,
        (1.0, 4.0),
        Kind::Flaky,
    ),
    manner(
        ("capped", "limited"),
        "takes 3 requests, then one every 5 s; falls back to chat",
        40,
        (0.25, 1.0),
        Kind::Limited,
    ),
    manner(
        ("rated", "three"),
        "takes 3 requests a minute, by the configuration",
        40,
        (0.25, 1.0),
        Kind::Rated,
    ),
    manner(("rated", "more"), "takes what is too much for it", 40, (0.5, 2.0), Kind::Spare),
    manner(
        ("brief", "small"),
        "takes 16 tokens; what is longer falls back to chat",
        40,
        (0.1, 0.4),
        Kind::Small,
    ),
    manner(("claude", "haiku"), "speaks Anthropic's API", 40, (1.0, 5.0), Kind::Anthropic),
];

impl Manner {
    pub(super) fn is_anthropic(&self) -> bool {
        self.kind == Kind::Anthropic
    }

    /// What else the configuration says of it.
    pub(super) fn params(&self) -> &'static str {
        match self.kind {
            Kind::Rated => "{order: 1, rpm: 3}",
            Kind::Spare => "{order: 2}",
            _ => "{}",
        }
    }
}

/// What goes wrong with a deployment, and when.
pub(super) enum Trouble {
    Never,
    EveryThird(AtomicU32),
    Limit(Mutex<Bucket>),
    TooLong,
}

impl Trouble {
    pub(super) fn of(manner: &Manner) -> Self {
        match manner.kind {
            Kind::Sound | Kind::Rated | Kind::Spare | Kind::Anthropic => Self::Never,
            Kind::Flaky => Self::EveryThird(AtomicU32::new(0)),
            Kind::Limited => Self::Limit(Mutex::new(Bucket::full(3.0, Duration::from_secs(5)))),
            Kind::Small => Self::TooLong,
        }
    }

    /// The answer to `request`, where it strikes that.
    pub(super) fn strikes(&self, request: &Value) -> Option<Response> {
        match self {
            Self::Never => None,
            Self::EveryThird(count) => (count.fetch_add(1, Ordering::Relaxed) % 3 == 2)
                .then(|| error(StatusCode::INTERNAL_SERVER_ERROR, "flaky as ever", None)),
            Self::Limit(bucket) => {
                let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
                let wait = bucket.take(Instant::now()).err()?;
                let code = Some("rate_limit_exceeded");
                let mut refusal = error(StatusCode::TOO_MANY_REQUESTS, "slow down", code);
                retry_after(refusal.headers_mut(), wait);
                Some(refusal)
            }
            Self::TooLong => {
                let tokens = input_tokens(request);
                let message = format!(
                    "This model's maximum context length is {WINDOW} tokens. However, your messages \
                     resulted in {tokens} tokens. Please reduce the length of the messages."
                );
                let code = Some("context_length_exceeded");
                (tokens > WINDOW).then(|| error(StatusCode::BAD_REQUEST, &message, code))
            }
        }
    }
}

/// A token bucket: holds `size` tokens, and gets one each `every`.
pub(super) struct Bucket {
    tokens: f64,
    size: f64,
    every: Duration,
    filled: Instant,
}

impl Bucket {
    fn full(size: f64, every: Duration) -> Self {
        Self { tokens: size, size, every, filled: Instant::now() }
    }

    /// Takes a token, or says how long until there is one.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed / self.every.as_secs_f64()).min(self.size);
        self.filled = now;
        if self.tokens < 1.0 {
            return Err(self.every.mul_f64(1.0 - self.tokens));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_says_exactly_when_the_next_token_is_there() {
        let mut bucket = Bucket::full(2.0, Duration::from_secs(5));
        assert_eq!([bucket.take(Instant::now()), bucket.take(Instant::now())], [Ok(()), Ok(())]);
        let wait = bucket.take(Instant::now()).unwrap_err();
        assert_eq!(wait, Duration::from_secs(5));
        tokio::time::advance(wait).await;
        assert_eq!(bucket.take(Instant::now()), Ok(()));
        assert!(bucket.take(Instant::now()).is_err());
    }
}
