//! What a provider says is left of its limits, in the head of each response.
//!
//! Providers agree on no form, so these are read: OpenAI's `x-ratelimit-remaining-requests` and its like, which most
//! servers have; those of a named window, such as Cerebras' `x-ratelimit-remaining-tokens-minute` and Mistral's
//! `x-ratelimit-remaining-req-minute`; Anthropic's `anthropic-ratelimit-input-tokens-remaining`; the IETF's
//! [`RateLimit`] in the forms of all its drafts; and `x-ratelimit-remaining` without a unit, which counts requests.
//!
//! [`RateLimit`]: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};

use super::limit::Unit;
use crate::outcome::delay::until;

/// How long what is left holds where no reset is told. Azure tells none and averages over up to ten seconds.
const WITHOUT_RESET: Duration = Duration::from_secs(10);

/// What is left, by what is counted; where nothing is told, or no sense in it, none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) requests: Option<Left>,
    pub(crate) tokens: Option<Left>,
    pub(crate) input_tokens: Option<Left>,
    pub(crate) output_tokens: Option<Left>,
}

impl Reported {
    /// When all that is used up will be back; none where nothing is.
    pub(crate) fn reset(&self) -> Option<Duration> {
        let all = [self.requests, self.tokens, self.input_tokens, self.output_tokens];
        let used_up = all.into_iter().flatten().filter(|left| left.remaining == 0);
        used_up.map(|left| left.reset).max()
    }

    pub(crate) const fn of(&self, unit: Unit) -> Option<Left> {
        match unit {
            Unit::Requests => self.requests,
            Unit::Tokens => self.tokens,
            Unit::InputTokens => self.input_tokens,
            Unit::OutputTokens => self.output_tokens,
            Unit::Parallel | Unit::Dollars => None,
        }
    }
}

/// What is left until a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) remaining: u64,
    /// Of how many, where that is told.
    pub(crate) limit: Option<u64>,
    /// From the head of the response on.
    pub(crate) reset: Duration,
    /// What there is at the reset, where it comes back evenly until then rather than all at once: so OpenAI's and
    /// Anthropic's do, by their documentation, and that of many who have the same headers.
    pub(crate) refills_to: Option<u64>,
}

/// What a response says is left; none if it says nothing of it. `now` is asked if there are resets to be read.
pub(crate) fn reported(headers: &HeaderMap, now: impl Fn() -> SystemTime) -> Option<Reported> {
    let mut found = Found::default();
    for (name, value) in headers {
        let name = name.as_str();
        let Some(rest) = name
            .strip_prefix("x-ratelimit-")
            .or_else(|| name.strip_prefix("anthropic-ratelimit-"))
            .or_else(|| name.strip_prefix("ratelimit"))
        else {
            continue;
        };
        let Ok(value) = value.to_str() else { continue };
        if rest.is_empty() {
            let policies = headers.get("ratelimit-policy");
            found.list(value, policies, &now);
        } else if let Some((part, told)) = Part::of(rest.trim_start_matches('-')) {
            found.enter(part, told, value, &now);
        }
    }
    found.reported()
}

/// What a header is about.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Part {
    unit: Unit,
    /// The length of the window, where the name has it.
    window: Option<Duration>,
    /// The name tells the unit.
    has_unit: bool,
}

#[derive(Clone, Copy)]
enum Told {
    Limit,
    Remaining,
    Reset,
}

impl Part {
    const REQUESTS: Self = Self { unit: Unit::Requests, window: None, has_unit: false };

    /// By the rest of a header's name: `remaining-requests`, `requests-reset`, `remaining-tokens-minute`, `reset`.
    fn of(name: &str) -> Option<(Self, Told)> {
        let of = |word: &str, told| {
            let rest = match name.strip_prefix(word) {
                Some(rest) => rest.strip_prefix('-').or(rest.is_empty().then_some("")),
                None => name.strip_suffix(word).and_then(|rest| rest.strip_suffix('-')),
            };
            rest.map(|rest| (rest, told))
        };
        let (what, told) = of("remaining", Told::Remaining)
            .or_else(|| of("reset", Told::Reset))
            .or_else(|| of("limit", Told::Limit))?;
        let (what, window) = match what.rsplit_once('-') {
            Some((what, "second")) => (what, Some(1)),
            Some((what, "minute")) => (what, Some(60)),
            Some((what, "hour")) => (what, Some(60 * 60)),
            Some((what, "day")) => (what, Some(24 * 60 * 60)),
            _ => (what, None),
        };
        let unit = match what {
            "" | "requests" | "req" => Unit::Requests,
            "tokens" => Unit::Tokens,
            "input-tokens" => Unit::InputTokens,
            "output-tokens" => Unit::OutputTokens,
            _ => return None,
        };
        let window = window.map(Duration::from_secs);
        Some((Self { unit, window, has_unit: !what.is_empty() }, told))
    }
}

/// What was read so far; no provider tells of more than a few windows.
#[derive(Default)]
struct Found {
    windows: [Option<Window>; 8],
}

struct Window {
    part: Part,
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<Duration>,
}

impl Found {
    fn enter(&mut self, part: Part, told: Told, value: &str, now: &impl Fn() -> SystemTime) {
        let is_free =
            |slot: &&mut Option<Window>| slot.as_ref().is_none_or(|window| window.part == part);
        let Some(slot) = self.windows.iter_mut().find(is_free) else { return };
        let window = slot.get_or_insert(Window { part, limit: None, remaining: None, reset: None });
        match told {
            Told::Limit => window.limit = count(value).or(window.limit),
            Told::Remaining => window.remaining = count(value).or(window.remaining),
            Told::Reset => window.reset = until(value, now()).or(window.reset),
        }
    }

    /// Reads `"burst";r=50;t=30, "daily";r=900;t=3600`, or `limit=100, remaining=50, reset=30`: of several policies the
    /// one that has the least left.
    fn list(&mut self, value: &str, policies: Option<&HeaderValue>, now: &impl Fn() -> SystemTime) {
        let policies = policies.and_then(|policies| policies.to_str().ok()).unwrap_or_default();
        let (mut least, mut read) = (None, (None, None));
        for item in value.split(',') {
            if !counts_requests(policies, item) {
                continue;
            }
            for (key, value) in item.split(';').filter_map(|parameter| parameter.split_once('=')) {
                match key.trim() {
                    "r" | "remaining" => {
                        least = fewer(least, read);
                        read = (count(value), None);
                    }
                    "t" | "reset" => read.1 = until(value, now()),
                    _ => {}
                }
            }
        }
        if let Some((remaining, reset)) = fewer(least, read)
            && let Some(slot) = self.windows.iter_mut().find(|slot| slot.is_none())
        {
            *slot = Some(Window {
                part: Part::REQUESTS,
                limit: None,
                remaining: Some(remaining),
                reset,
            });
        }
    }

    fn reported(self) -> Option<Reported> {
        let mut all = Reported::default();
        for Window { part, limit, remaining, reset } in self.windows.into_iter().flatten() {
            let Some(remaining) = remaining else { continue };
            let slot = match part.unit {
                Unit::Requests => &mut all.requests,
                Unit::Tokens => &mut all.tokens,
                Unit::InputTokens => &mut all.input_tokens,
                Unit::OutputTokens => &mut all.output_tokens,
                Unit::Parallel | Unit::Dollars => continue,
            };
            let is_even = part.has_unit && part.window.is_none() && reset.is_some();
            let refills_to = limit.filter(|_| is_even);
            let reset = reset.or(part.window).unwrap_or(WITHOUT_RESET);
            if slot.is_none_or(|slot| (remaining, slot.reset) < (slot.remaining, reset)) {
                *slot = Some(Left { remaining, limit, reset, refills_to });
            }
        }
        (all != Reported::default()).then_some(all)
    }
}

type Read = (Option<u64>, Option<Duration>);

fn fewer(least: Option<(u64, Option<Duration>)>, read: Read) -> Option<(u64, Option<Duration>)> {
    let (Some(remaining), reset) = read else { return least };
    Some(match least {
        Some(least) if least.0 <= remaining => least,
        _ => (remaining, reset),
    })
}

/// Whether the policy that `item` names counts requests: so it does where its `qu` says nothing else.
fn counts_requests(policies: &str, item: &str) -> bool {
    fn name(item: &str) -> Option<&str> {
        item.split(';').next().map(str::trim)
    }
    let policy = policies.split(',').find(|policy| name(policy) == name(item));
    let unit = policy.and_then(|policy| {
        policy.split(';').find_map(|parameter| parameter.trim().strip_prefix("qu="))
    });
    unit.is_none_or(|unit| unit.trim().trim_matches('"') == "requests")
}

/// A whole number; its fraction, where there is one, is left off.
fn count(value: &str) -> Option<u64> {
    let value = value.trim();
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let plain = !whole.is_empty()
        && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    plain.then(|| whole.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
