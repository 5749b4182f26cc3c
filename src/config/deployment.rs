//! `model_list`.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use http::{HeaderName, HeaderValue};

use super::{
    FailureCounts, Limits, Prices, Secret, field::Field, keys, read::Section, upstream::Upstream,
};
use crate::llm::{Endpoint, Provider};

/// One entry of `model_list`: a place to which the requests for a model can be sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeploymentConfig {
    /// The group it belongs to: the model name that requests ask for. It may hold `*`, which stands
    /// for any text.
    pub model_name: String,
    /// The deployment's id, unique in the file: `model_info.id`, or else `model_name/n` where it is
    /// the `n`th of its group, from 1, or the next `n` that is free. LiteLLM makes up a hash.
    pub id: String,
    /// The provider LiteLLM knows the model by, such as `groq` in `groq/llama-3`, or `anthropic` of a
    /// bare `claude-…`. `None` is `OpenAI`, or whoever is at `api_base`.
    pub provider: Option<String>,
    /// Whose API it speaks.
    pub api: Provider,
    /// The model's name upstream, without the provider; with Azure the name of its deployment there. A
    /// `*` in it stands for what the one in `model_name` matched.
    pub model: String,
    /// The address under which the paths of the API are: absolute, http or https, without
    /// credentials, query or trailing slash. The provider's own unless `api_base` (or `base_url`)
    /// gives another, or the environment does for OpenAI, Azure, Anthropic or Ollama, of which LiteLLM's
    /// has no `/v1`.
    pub api_base: String,
    /// Azure's `api-version`, which it always has; none for others.
    pub api_version: Option<String>,
    /// The key to send. Without one in the file that is what the environment holds for the provider
    /// (such as `GROQ_API_KEY`), but only when its own address is used or the environment's: LiteLLM
    /// sends it to any `api_base`.
    pub api_key: Option<Secret>,
    /// Headers to send with each request, in place of its own and those that carry the key; their
    /// values are marked as sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its share of the traffic, finite and at least 0: with 0 the strategy sends it nothing.
    pub weight: Option<f64>,
    /// How much it may take.
    pub limits: Limits,
    /// The name of the quota that it shares with the others that have this name. Not one of LiteLLM's.
    pub quota_group: Option<String>,
    /// Whether the requests it may have in flight follow how it copes with them. Not one of LiteLLM's.
    pub adaptive_concurrency: bool,
    /// What requests choose it by, see [`TagMatch`](crate::balance::TagMatch).
    pub tags: Vec<String>,
    /// Of a group only the deployments with the lowest order still available are used, and those
    /// without one last.
    pub order: Option<i32>,
    /// The time one attempt may take, more than zero.
    pub timeout: Option<Duration>,
    /// The same, where a stream is asked for.
    pub stream_timeout: Option<Duration>,
    /// The retries of a request that fails here.
    pub num_retries: Option<u32>,
    /// How long it is cooled; zero means never.
    pub cooldown_time: Option<Duration>,
    /// Failures a minute that it may have before it is cooled.
    pub allowed_fails: Option<u32>,
    /// The same by kind of failure.
    pub allowed_fails_policy: FailureCounts,
    /// The region it is in, by a name that [requests ask for](crate::Deployment::region).
    pub region_name: Option<String>,
    /// What its tokens cost, as far as the file says.
    pub prices: Prices,
    /// The name under which a price list knows its model.
    pub base_model: Option<String>,
    /// The longest input it takes, in tokens.
    pub max_input_tokens: Option<u64>,
    /// Whether it takes images.
    pub supports_vision: Option<bool>,
    /// The endpoints it has, as paths without a version, where the file enforces them.
    pub endpoints: Option<Vec<String>>,
    /// What it is for, such as `chat` or `embedding`. Restricts nothing.
    pub mode: Option<String>,
    /// Whether it is paused.
    pub blocked: bool,
    /// Whether it is asked for the usage of each stream.
    pub include_usage: Option<bool>,
    /// Where it stands in the file, such as `model_list[2]`.
    pub place: String,
    /// The line where it begins, from 1.
    pub line: u64,
}

/// What of a deployment could not be read is left empty: the error noted for it keeps it from being
/// used.
pub(super) fn read_list(root: &mut Section<'_>) -> Vec<DeploymentConfig> {
    let Some(list) = root.require("model_list", "a list of deployments") else { return Vec::new() };
    let at = list.at.clone();
    let Some(items) = list.list("a list of deployments") else { return Vec::new() };
    if items.is_empty() {
        at.error("expected at least one deployment");
    }
    let mut ids = HashMap::new();
    let entries = items.len();
    let mut deployments: Vec<_> =
        items.into_iter().filter_map(|item| read(item, &mut ids)).collect();
    if deployments.is_empty() && entries > 0 {
        at.error("no deployment can be used: each is left out, as the warnings say");
    }
    derive_ids(&mut deployments);
    deployments
}

/// `ids` are those given so far and where. `None` for one that is left out, with a warning.
fn read(item: Field<'_>, ids: &mut HashMap<String, String>) -> Option<DeploymentConfig> {
    let mut entry = item.section();
    let (place, line) = (entry.at.place.clone(), entry.at.line);

    let model_name = entry.require("model_name", "the name by which requests ask for the model");
    let model_name = model_name.and_then(|field| field.text()).unwrap_or_default();
    let mut info = entry.section("model_info");
    let mut params = entry.section("litellm_params");
    let id = id(&mut info, ids, &place);
    let upstream = Upstream::read(&mut params, &model_name);
    let is_used = upstream.is_some();
    let upstream = upstream.unwrap_or_default();
    let judged = (Judged::read(&mut info), Judged::read(&mut params));
    let adaptive = (adaptive_concurrency(&mut info), adaptive_concurrency(&mut params));
    let deployment = DeploymentConfig {
        model_name,
        id,
        provider: upstream.provider,
        api: upstream.api,
        model: upstream.model,
        api_base: upstream.api_base,
        api_version: upstream.api_version,
        api_key: upstream.api_key,
        headers: upstream.headers,
        weight: params
            .take("weight")
            .and_then(|field| field.number("a number of at least 0", |weight| weight >= 0.0)),
        limits: Limits::read(&mut params),
        quota_group: info.take("quota_group").and_then(|field| field.text()),
        adaptive_concurrency: adaptive.0.or(adaptive.1).unwrap_or_default(),
        tags: tags(&mut params),
        order: params.take("order").and_then(|field| field.integer("a whole number")),
        timeout: params.take("timeout").and_then(|field| field.some_seconds()),
        stream_timeout: params.take("stream_timeout").and_then(|field| field.some_seconds()),
        num_retries: params.take("num_retries").and_then(|field| field.count()),
        cooldown_time: judged.0.cooldown_time.or(judged.1.cooldown_time),
        allowed_fails: judged.0.allowed_fails.or(judged.1.allowed_fails),
        allowed_fails_policy: judged.0.policy.or(judged.1.policy).unwrap_or_default(),
        region_name: params.take("region_name").and_then(|field| field.text()),
        prices: Prices::read(&mut params).or(&Prices::read(&mut info)),
        base_model: info.take("base_model").and_then(|field| field.text()),
        max_input_tokens: info.take("max_input_tokens").and_then(|field| field.count()),
        supports_vision: info.take("supports_vision").and_then(|field| field.flag()),
        endpoints: endpoints(&mut info),
        mode: info.take("mode").and_then(|field| field.text()),
        blocked: info.take("blocked").and_then(|field| field.flag()).unwrap_or_default(),
        include_usage: include_usage(&mut params),
        place,
        line,
    };
    info.finish(&keys::MODEL_INFO);
    params.finish(&keys::LITELLM_PARAMS);
    entry.finish(&keys::ENTRY);
    is_used.then_some(deployment)
}

fn id(info: &mut Section<'_>, ids: &mut HashMap<String, String>, place: &str) -> String {
    let Some(field) = info.take("id") else { return String::new() };
    let id = field.text().unwrap_or_default();
    if let Some(first) = ids.get(&id) {
        field.at.error(format!("{} is already the id of {first}", field.as_name()));
    } else if !id.is_empty() {
        ids.insert(id.clone(), place.to_owned());
    }
    id
}

/// When a deployment is cooled: what `model_info` may say, or else `litellm_params`.
struct Judged {
    cooldown_time: Option<Duration>,
    allowed_fails: Option<u32>,
    policy: Option<FailureCounts>,
}

impl Judged {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            cooldown_time: section.take("cooldown_time").and_then(|field| field.seconds()),
            allowed_fails: section.take("allowed_fails").and_then(|field| field.count()),
            policy: section.take("allowed_fails_policy").map(FailureCounts::allowed_fails),
        }
    }
}

fn adaptive_concurrency(section: &mut Section<'_>) -> Option<bool> {
    section.take("adaptive_concurrency").and_then(|field| field.flag())
}

fn tags(params: &mut Section<'_>) -> Vec<String> {
    let tags = params.take("tags").and_then(|field| field.list("a list of tags"));
    tags.unwrap_or_default().iter().filter_map(Field::text).collect()
}

/// The endpoints listed, where they are enforced. What is none of those that are routed by model
/// makes no difference.
fn endpoints(info: &mut Section<'_>) -> Option<Vec<String>> {
    const ENFORCE: &str = "enforce_supported_endpoints";
    let at_enforced = info.at_of(ENFORCE);
    let enforced = info.take(ENFORCE).and_then(|field| field.flag()) == Some(true);
    let Some(listed) = info.take("supported_endpoints") else {
        if enforced {
            at_enforced.warn("no effect without a list of `supported_endpoints`, as in LiteLLM");
        }
        return None;
    };
    let at = listed.at.clone();
    let paths: Vec<String> =
        listed.list("a list of paths")?.iter().filter_map(Field::text).collect();
    if !enforced {
        at.warn("no effect without `enforce_supported_endpoints: true`, as in LiteLLM");
        return None;
    }
    let known = paths.iter().filter_map(|path| Endpoint::of_path(path));
    Some(known.map(|endpoint| endpoint.path().to_owned()).collect())
}

fn include_usage(params: &mut Section<'_>) -> Option<bool> {
    let mut options = params.take("stream_options")?.section();
    let include = options.take("include_usage").and_then(|field| field.flag());
    options.finish(&keys::STREAM_OPTIONS);
    include
}

/// Gives an id to those without.
fn derive_ids(deployments: &mut [DeploymentConfig]) {
    let mut taken: HashSet<String> =
        deployments.iter().map(|deployment| deployment.id.clone()).collect();
    let mut members: HashMap<String, usize> = HashMap::new();
    for deployment in deployments {
        let group = &deployment.model_name;
        let nth = members.entry(group.clone()).or_default();
        *nth += 1;
        if deployment.id.is_empty() {
            let mut free =
                (*nth..).map(|n| format!("{group}/{n}")).filter(|id| !taken.contains(id));
            deployment.id = free.next().unwrap_or_default();
            taken.insert(deployment.id.clone());
        }
    }
}
