//! The state of every deployment, as `/fleet` shows it. No address, no key.

use serde::Serialize;
use tokio::time::Instant;
use tower_fleet::{
    Deployment, GroupName,
    deployment::{Cause, Status, UsageTotals},
};

#[derive(Serialize)]
pub(crate) struct Fleet<'a> {
    deployments: Vec<State<'a>>,
}

#[derive(Serialize)]
struct State<'a> {
    group: &'a str,
    id: &'a str,
    order: Option<i32>,
    weight: u32,
    in_flight: usize,
    picked: u64,
    #[serde(flatten)]
    condition: Condition,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    ejections: u64,
    usage: Used,
}

/// What its answers took.
#[derive(Serialize)]
struct Used {
    answers: u64,
    input: u64,
    cached: u64,
    cache_written: u64,
    output: u64,
    reasoning: u64,
    /// Some of it is an estimate.
    estimated: bool,
    /// In US dollars, without the answers that are not priced.
    cost: f64,
    unpriced: u64,
}

#[derive(Serialize)]
struct Condition {
    status: &'static str,
    /// Seconds left of a cooldown.
    #[serde(skip_serializing_if = "Option::is_none")]
    cooling_for: Option<f64>,
    /// What a deployment that cools was set aside for.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// The share of its traffic it takes while it grows back, of 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f32>,
}

pub(crate) fn fleet(deployments: &[(GroupName, Deployment)]) -> Fleet<'_> {
    Fleet { deployments: deployments.iter().map(|(group, one)| State::of(group, one)).collect() }
}

/// How many could take a request now.
pub(crate) fn available(deployments: &[(GroupName, Deployment)]) -> usize {
    let out =
        |one: &Deployment| matches!(one.health().status(), Status::Cooling { .. } | Status::Paused);
    deployments.iter().filter(|(_, one)| !out(one)).count()
}

impl<'a> State<'a> {
    fn of(group: &'a GroupName, deployment: &'a Deployment) -> Self {
        let totals = deployment.health().totals();
        Self {
            group: group.as_str(),
            id: deployment.id(),
            order: deployment.get_order(),
            weight: deployment.get_weight(),
            in_flight: deployment.in_flight(),
            picked: deployment.picked(),
            condition: Condition::of(deployment.health().status()),
            succeeded: totals.succeeded,
            failed: totals.failed,
            cancelled: totals.cancelled,
            ejections: totals.ejections,
            usage: Used::of(deployment.usage()),
        }
    }
}

impl Used {
    fn of(UsageTotals { usage, cost, answers, unpriced, .. }: UsageTotals) -> Self {
        Self {
            answers,
            input: usage.input,
            cached: usage.cached,
            cache_written: usage.cache_written,
            output: usage.output,
            reasoning: usage.reasoning,
            estimated: usage.estimated,
            // Sums of fractions have digits that mean nothing.
            cost: (cost * 1e12).round() / 1e12,
            unpriced,
        }
    }
}

impl Condition {
    fn of(status: Status) -> Self {
        let plain = Self { status: status.as_str(), cooling_for: None, cause: None, share: None };
        match status {
            Status::Cooling { until, cause } => {
                let left = until.saturating_duration_since(Instant::now());
                let cause = match cause {
                    Cause::Failed(kind) => kind.as_str(),
                    _ => "operator",
                };
                // Nobody reads nanoseconds.
                let left = (left.as_secs_f64() * 1000.0).round() / 1000.0;
                Self { cooling_for: Some(left), cause: Some(cause), ..plain }
            }
            Status::Ramping { share } => Self { share: Some(share), ..plain },
            _ => plain,
        }
    }
}
