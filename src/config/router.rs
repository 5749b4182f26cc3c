//! `router_settings`, and what `litellm_settings` says in its place.

use std::time::Duration;

use super::{field::Field, keys, names::Names, read::Section};

/// What holds for every group.
///
/// A field is `None` when the file is silent, as that is not always the same as giving LiteLLM's
/// default: without `allowed_fails` it judges by the share of failures. `num_retries`,
/// `allowed_fails`, `fallbacks`, `default_fallbacks` and (as `request_timeout`) `timeout` are also
/// read from `litellm_settings`, if `router_settings` does not have them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouterSettings {
    /// How the deployment for a request is chosen.
    pub routing_strategy: RoutingStrategy,
    /// Attempts after the first. LiteLLM's default is
    /// [`DEFAULT_NUM_RETRIES`](Self::DEFAULT_NUM_RETRIES).
    pub num_retries: Option<u32>,
    /// Failures a minute that a deployment may have before it is cooled. Without it LiteLLM cools
    /// one that fails more than half of its requests.
    pub allowed_fails: Option<u32>,
    /// How long a deployment is cooled, more than zero. LiteLLM's default is
    /// [`DEFAULT_COOLDOWN_TIME`](Self::DEFAULT_COOLDOWN_TIME), which 0 means too.
    pub cooldown_time: Option<Duration>,
    /// Whether no deployment is ever cooled. Default: false.
    pub disable_cooldowns: bool,
    /// The least time between two attempts. LiteLLM's default is none.
    pub retry_after: Option<Duration>,
    /// The time one attempt may take, more than zero, where the deployment has none of its own.
    /// LiteLLM's default is
    /// [`DEFAULT_TIMEOUT`](Self::DEFAULT_TIMEOUT).
    pub timeout: Option<Duration>,
    /// The groups to turn to when one fails, in the order of the file.
    pub fallbacks: Vec<Fallback>,
    /// The groups to turn to when one fails that has no fallbacks, as LiteLLM's group `*` in
    /// `fallbacks`.
    pub default_fallbacks: Vec<String>,
    /// How many groups are turned to. LiteLLM's default is
    /// [`DEFAULT_MAX_FALLBACKS`](Self::DEFAULT_MAX_FALLBACKS).
    pub max_fallbacks: Option<u32>,
    /// Other names for groups, in the order of the file.
    pub model_group_alias: Vec<Alias>,
}

impl RouterSettings {
    /// LiteLLM's attempts after the first, where the file gives none.
    pub const DEFAULT_NUM_RETRIES: u32 = 2;
    /// How long LiteLLM cools a deployment, where the file does not say.
    pub const DEFAULT_COOLDOWN_TIME: Duration = Duration::from_secs(5);
    /// The time LiteLLM gives a chat completion, where the file gives none.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
    /// How many groups LiteLLM turns to, where the file does not say.
    pub const DEFAULT_MAX_FALLBACKS: u32 = 5;
}

/// How the deployment for a request is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoutingStrategy {
    /// `simple-shuffle`: at random, by weight. LiteLLM's default.
    #[default]
    SimpleShuffle,
    /// `least-busy`: the one with the fewest requests in flight.
    LeastBusy,
    /// `round-robin`: in turn. Not one of LiteLLM's.
    RoundRobin,
}

/// The groups to turn to when one fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fallback {
    /// The group that failed; `*` is any that has no fallbacks of its own.
    pub group: String,
    /// The groups to turn to, in this order. Never empty.
    pub targets: Vec<String>,
}

/// Another name for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alias {
    /// The name that requests may ask for.
    pub name: String,
    /// The group they get.
    pub target: String,
    /// Whether it is left out where models are listed. Default: false.
    pub hidden: bool,
}

/// Every strategy by its name in the file, and whether it is that one or only stands in for it:
/// slow deployments have more in flight, so `least-busy` avoids them; limits are weights, so a
/// shuffle keeps to them.
const STRATEGIES: &[(&str, RoutingStrategy, bool)] = &[
    ("simple-shuffle", RoutingStrategy::SimpleShuffle, true),
    ("least-busy", RoutingStrategy::LeastBusy, true),
    ("round-robin", RoutingStrategy::RoundRobin, true),
    ("latency-based-routing", RoutingStrategy::LeastBusy, false),
    ("cost-based-routing", RoutingStrategy::SimpleShuffle, false),
    ("usage-based-routing", RoutingStrategy::SimpleShuffle, false),
    ("usage-based-routing-v2", RoutingStrategy::SimpleShuffle, false),
    ("provider-budget-routing", RoutingStrategy::SimpleShuffle, false),
];

pub(super) fn read(root: &mut Section<'_>, mut names: Names<'_>) -> RouterSettings {
    let mut router = root.section("router_settings");
    let mut general = root.section("litellm_settings");
    // First, as fallbacks may name aliases.
    let model_group_alias =
        router.take("model_group_alias").map(|field| aliases(field, &mut names));
    let settings = RouterSettings {
        routing_strategy: router
            .take("routing_strategy")
            .and_then(|field| strategy(&field))
            .unwrap_or_default(),
        num_retries: either(&mut router, &mut general, "num_retries")
            .and_then(|field| field.count()),
        allowed_fails: either(&mut router, &mut general, "allowed_fails")
            .and_then(|field| field.count()),
        cooldown_time: router.take("cooldown_time").and_then(|field| cooldown(&field)),
        disable_cooldowns: router
            .take("disable_cooldowns")
            .and_then(|field| field.flag())
            .unwrap_or_default(),
        retry_after: router.take("retry_after").and_then(|field| field.seconds()),
        timeout: prefer(router.take("timeout"), general.take("request_timeout"))
            .and_then(|field| field.some_seconds()),
        fallbacks: either(&mut router, &mut general, "fallbacks")
            .map(|field| fallbacks(field, &names))
            .unwrap_or_default(),
        default_fallbacks: either(&mut router, &mut general, "default_fallbacks")
            .and_then(|field| targets(field, &names))
            .unwrap_or_default(),
        max_fallbacks: router.take("max_fallbacks").and_then(|field| field.count()),
        model_group_alias: model_group_alias.unwrap_or_default(),
    };
    router.finish(keys::ROUTER_SETTINGS);
    general.finish(keys::LITELLM_SETTINGS);
    settings
}

/// What `router_settings` has under `key`, or else `litellm_settings`.
fn either<'r>(
    router: &mut Section<'r>,
    general: &mut Section<'r>,
    key: &'static str,
) -> Option<Field<'r>> {
    prefer(router.take(key), general.take(key))
}

fn prefer<'r>(first: Option<Field<'r>>, second: Option<Field<'r>>) -> Option<Field<'r>> {
    if let (Some(first), Some(second)) = (&first, &second) {
        second.at.warn(format!("overridden by `{}`", first.at.place));
    }
    first.or(second)
}

fn strategy(field: &Field<'_>) -> Option<RoutingStrategy> {
    let found = field.text()?;
    let Some((name, strategy, is_it)) = STRATEGIES.iter().find(|(name, ..)| *name == found) else {
        let names: Vec<_> = STRATEGIES.iter().map(|(name, ..)| format!("`{name}`")).collect();
        field.wrong(&format!("one of {}", names.join(", ")));
        return None;
    };
    if !is_it {
        let stand_in = STRATEGIES.iter().find(|(_, other, is_it)| other == strategy && *is_it);
        let stand_in = stand_in.map_or("", |(name, ..)| name);
        field.at.warn(format!(
            "`{name}` is known to LiteLLM, but not available yet: `{stand_in}` is used instead"
        ));
    }
    Some(*strategy)
}

fn cooldown(field: &Field<'_>) -> Option<Duration> {
    let time = field.seconds()?;
    if time.is_zero() {
        field.at.warn(
            "0 means the default, as in LiteLLM; `disable_cooldowns: true` turns cooling off",
        );
        return None;
    }
    Some(time)
}

/// A list of maps from a group to its fallbacks, of which LiteLLM reads only the first key, or one
/// such map.
fn fallbacks(field: Field<'_>, names: &Names<'_>) -> Vec<Fallback> {
    const EXPECTED: &str = "a map from a group to its fallbacks";
    let maps = if field.is_map() {
        vec![field]
    } else {
        field.list("a list of maps from a group to its fallbacks").unwrap_or_default()
    };
    let entries = maps.into_iter().flat_map(|map| map.entries(EXPECTED).unwrap_or_default());
    let fallback = |(group, field): (String, Field<'_>)| {
        if group != "*" {
            names.check(&group, &field.at, format_args!("{group:?}"));
        }
        targets(field, names).map(|targets| Fallback { group, targets })
    };
    entries.filter_map(fallback).collect()
}

/// The names of at least one group.
fn targets(field: Field<'_>, names: &Names<'_>) -> Option<Vec<String>> {
    let at = field.at.clone();
    let fields = if field.is_list() { field.list("a list")? } else { vec![field] };
    let target = |field: Field<'_>| {
        let name = field.text_or("the name of a group")?;
        names.check(&name, &field.at, &field);
        Some(name)
    };
    if fields.is_empty() {
        at.error("expected at least one group");
    }
    let targets: Vec<_> = fields.into_iter().filter_map(target).collect();
    (!targets.is_empty()).then_some(targets)
}

fn aliases(field: Field<'_>, names: &mut Names<'_>) -> Vec<Alias> {
    let mut aliases = Vec::new();
    for (name, field) in field.entries("a map from an alias to a group").unwrap_or_default() {
        let (target, hidden) = if field.is_map() {
            let mut alias = field.section();
            let target = alias.require("model", "the name of a group");
            let hidden = alias.take("hidden").and_then(|field| field.flag()).unwrap_or_default();
            alias.finish(&[]);
            (target, hidden)
        } else {
            (Some(field), false)
        };
        let Some(field) = target else { continue };
        let Some(target) = field.text_or("the name of a group") else { continue };
        names.check(&target, &field.at, &field);
        aliases.push(Alias { name, target, hidden });
    }
    names.aliases.extend(aliases.iter().map(|alias| alias.name.clone()));
    aliases
}
