//! `model_list`.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{Secret, field::Field, keys, read::Section, upstream::Upstream};

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
    /// The provider LiteLLM knows the model by, such as `groq` in `groq/llama-3`. `None` is
    /// `OpenAI`, or whoever is at `api_base`.
    pub provider: Option<String>,
    /// The model's name upstream, without the provider. A `*` in it stands for what the one in
    /// `model_name` matched.
    pub model: String,
    /// The address under which the paths of the API are: absolute, http or https, without
    /// credentials, query or trailing slash. The provider's own unless `api_base` (or `base_url`)
    /// gives another.
    pub api_base: String,
    /// The key to send. Without one in the file that is what the environment holds for the provider
    /// (such as `GROQ_API_KEY`), but only when its own address is used: LiteLLM sends it to any
    /// `api_base`.
    pub api_key: Option<Secret>,
    /// Its share of the traffic, finite and at least 0: with 0 the strategy sends it nothing.
    pub weight: Option<f64>,
    /// Requests a minute: so far only a source of [`weights`](super::weights), not a limit.
    pub rpm: Option<u64>,
    /// Tokens a minute: so far only a source of [`weights`](super::weights), not a limit.
    pub tpm: Option<u64>,
    /// Of a group only the deployments with the lowest order still available are used, and those
    /// without one last.
    pub order: Option<i32>,
    /// The time one attempt may take, more than zero.
    pub timeout: Option<Duration>,
    /// The requests it may have in flight, never 0: LiteLLM's 0 means no limit, and so is read as
    /// none given.
    pub max_parallel_requests: Option<u32>,
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
    let mut deployments: Vec<_> = items.into_iter().map(|item| read(item, &mut ids)).collect();
    derive_ids(&mut deployments);
    deployments
}

/// `ids` are those given so far and where.
fn read(item: Field<'_>, ids: &mut HashMap<String, String>) -> DeploymentConfig {
    let mut entry = item.section();
    let (place, line) = (entry.at.place.clone(), entry.at.line);

    let model_name = entry.require("model_name", "the name by which requests ask for the model");
    let model_name = model_name.and_then(|field| field.text()).unwrap_or_default();

    let mut info = entry.section("model_info");
    let mut id = String::new();
    if let Some(field) = info.take("id") {
        id = field.text().unwrap_or_default();
        if let Some(first) = ids.get(&id) {
            field.at.error(format!("{field} is already the id of {first}"));
        } else if !id.is_empty() {
            ids.insert(id.clone(), place.clone());
        }
    }
    info.finish(keys::MODEL_INFO);

    let mut params = entry.section("litellm_params");
    let upstream = Upstream::read(&mut params, &model_name);
    let deployment = DeploymentConfig {
        model_name,
        id,
        provider: upstream.provider,
        model: upstream.model,
        api_base: upstream.api_base,
        api_key: upstream.api_key,
        weight: params
            .take("weight")
            .and_then(|field| field.number("a number of at least 0", |weight| weight >= 0.0)),
        rpm: limit(&mut params, "rpm"),
        tpm: limit(&mut params, "tpm"),
        order: params.take("order").and_then(|field| field.integer("a whole number")),
        timeout: params.take("timeout").and_then(|field| field.some_seconds()),
        max_parallel_requests: params
            .take("max_parallel_requests")
            .and_then(|field| field.count())
            .filter(|limit| *limit > 0),
        place,
        line,
    };
    params.finish(keys::LITELLM_PARAMS);
    entry.finish(&[]);
    deployment
}

fn limit(params: &mut Section<'_>, key: &'static str) -> Option<u64> {
    let field = params.take(key)?;
    field.at.warn(
        "not enforced as a limit yet, only used as the weight where the group has no `weight`",
    );
    field.count()
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
