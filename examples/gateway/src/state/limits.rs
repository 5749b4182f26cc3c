//! What may be taken in a time, and how much of it is.

use serde::Serialize;
use tokio::time::Instant;
use tower_fleet::quota::{LimitUsage, Quota, Unit};

use super::rounded;

#[derive(Serialize)]
pub(super) struct Limit {
    /// Such as `5 requests in 60 s`.
    #[serde(rename = "limit")]
    text: String,
    unit: &'static str,
    most: f64,
    /// May be above the most, where answers took more than was expected.
    used: f64,
    /// Seconds until the least thing can be taken again; none where it can be now, or when a request in flight ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    room_in: Option<f64>,
}

/// What several deployments share, or the requests with one tag.
#[derive(Serialize)]
pub(super) struct Shared {
    name: String,
    /// An account's, or a budget across accounts.
    kind: &'static str,
    limits: Vec<Limit>,
}

impl Limit {
    /// The limits and the budgets among `usage`, as a budget is a limit of money.
    pub(super) fn split(usage: Vec<LimitUsage>) -> (Vec<Self>, Vec<Self>) {
        let (budgets, limits): (Vec<_>, Vec<_>) =
            usage.into_iter().partition(|it| it.limit.unit() == Unit::Dollars);
        let all = |usage: Vec<LimitUsage>| usage.into_iter().map(Self::of).collect();
        (all(limits), all(budgets))
    }

    fn of(LimitUsage { limit, used, room_at, .. }: LimitUsage) -> Self {
        // Money is counted in billionths of a dollar.
        let (unit, scale) = match limit.unit() {
            Unit::Requests => ("requests", 1.0),
            Unit::Tokens => ("tokens", 1.0),
            Unit::InputTokens => ("input_tokens", 1.0),
            Unit::OutputTokens => ("output_tokens", 1.0),
            Unit::Parallel => ("parallel_requests", 1.0),
            Unit::Dollars => ("dollars", 1e9),
            _ => ("other", 1.0),
        };
        #[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
        let [most, used] = [limit.most(), used].map(|amount| amount as f64 / scale);
        let wait = |at: Instant| rounded(at.saturating_duration_since(Instant::now()));
        Self { text: limit.to_string(), unit, most, used, room_in: room_at.map(wait) }
    }
}

impl Shared {
    pub(super) fn of(quota: &Quota) -> Self {
        let limits = quota.usage().into_iter().map(Limit::of).collect();
        let kind = if quota.is_budget() { "budget" } else { "account" };
        Self { name: quota.name().to_owned(), kind, limits }
    }
}
