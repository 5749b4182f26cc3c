//! The state of every deployment, as `/fleet` shows it. No address, no key.

mod limits;

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use tokio::time::Instant;
use tower_fleet::{
    Deployment, GroupName,
    deployment::{Cause, Latency, Status, UsageTotals},
    quota::Quota,
};

use self::limits::{Limit, Shared};
use crate::gateway::{Gateway, Group};

#[derive(Serialize)]
pub(crate) struct Fleet<'a> {
    groups: Vec<GroupState<'a>>,
    deployments: Vec<State<'a>>,
    /// By kind and name. Each once, as deployments share them.
    quotas: Vec<Shared>,
}

#[derive(Serialize)]
struct GroupState<'a> {
    group: &'a str,
    strategy: &'a str,
    /// How many requests wait for a place.
    waiting: usize,
}

#[derive(Serialize)]
struct State<'a> {
    group: &'a str,
    id: &'a str,
    order: Option<i32>,
    weight: u32,
    tags: Vec<&'a str>,
    in_flight: usize,
    /// The requests it may have in flight, where something says that.
    max_parallel_requests: Option<u32>,
    /// The same, where it is found out.
    concurrency_limit: Option<u32>,
    limits: Vec<Limit>,
    budgets: Vec<Limit>,
    /// The names of those it shares in.
    quotas: Vec<&'a str>,
    /// The least share that is left of any of these, of 1.
    headroom: f32,
    latency: Times,
    /// The share of answers that were failures of late, of 1.
    failed_share: Option<f32>,
    /// The share of the input, of 1, that came from a cache where requests are kept together.
    cached_share: Option<f64>,
    picked: u64,
    #[serde(flatten)]
    condition: Condition,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    ejections: u64,
    usage: Used,
}

/// How fast it answers, in seconds; none where the strategy does not go by it, or before there is an answer.
#[derive(Serialize)]
struct Times {
    first_byte: Option<f64>,
    /// Of streams.
    first_chunk: Option<f64>,
    /// Of output.
    per_token: Option<f64>,
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

pub(crate) fn fleet(gateway: &Gateway) -> Fleet<'_> {
    let deployments = &gateway.deployments;
    let shared = deployments.iter().flat_map(|(_, one)| one.quotas());
    let shared: BTreeMap<_, _> =
        shared.map(|quota| ((quota.is_budget(), quota.name()), quota)).collect();
    Fleet {
        groups: gateway.groups.iter().map(|group| GroupState::of(gateway, group)).collect(),
        deployments: deployments.iter().map(|(group, one)| State::of(group, one)).collect(),
        quotas: shared.into_values().map(Shared::of).collect(),
    }
}

/// How many could take a request now.
pub(crate) fn available(deployments: &[(GroupName, Deployment)]) -> usize {
    let out =
        |one: &Deployment| matches!(one.health().status(), Status::Cooling { .. } | Status::Paused);
    deployments.iter().filter(|(_, one)| !out(one)).count()
}

impl<'a> GroupState<'a> {
    fn of(gateway: &Gateway, (name, group): &'a (GroupName, Group)) -> Self {
        let waiting = group.members().waiting().into_iter().sum();
        Self { group: name.as_str(), strategy: gateway.strategy, waiting }
    }
}

impl<'a> State<'a> {
    fn of(group: &'a GroupName, deployment: &'a Deployment) -> Self {
        let totals = deployment.health().totals();
        let (limits, budgets) = Limit::split(deployment.limits());
        Self {
            group: group.as_str(),
            id: deployment.id(),
            order: deployment.get_order(),
            weight: deployment.get_weight(),
            tags: deployment.get_tags().iter().map(|tag| &**tag).collect(),
            in_flight: deployment.in_flight(),
            max_parallel_requests: deployment.get_max_parallel_requests(),
            concurrency_limit: deployment.concurrency_limit(),
            limits,
            budgets,
            quotas: deployment.quotas().iter().map(Quota::name).collect(),
            headroom: deployment.headroom(),
            latency: Times::of(deployment.latency()),
            failed_share: deployment.latency().failed_share(),
            cached_share: deployment.cached_share(),
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

impl Times {
    fn of(latency: &Latency) -> Self {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        Self {
            first_byte: seconds(latency.first_byte()),
            first_chunk: seconds(latency.first_chunk()),
            per_token: seconds(latency.per_token()),
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
                Self { cooling_for: Some(rounded(left)), cause: Some(cause), ..plain }
            }
            Status::Ramping { share } => Self { share: Some(share), ..plain },
            _ => plain,
        }
    }
}

/// Seconds, as nobody reads nanoseconds.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}
