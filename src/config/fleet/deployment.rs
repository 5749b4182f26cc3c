//! From an entry of `model_list` to a deployment and where it is.

use crate::{
    config::{DeploymentConfig, Problem, RouterSettings},
    deployment::{AdaptiveConcurrency, Deployment},
    llm::{ListedModel, PriceList, Provider},
    upstream::Upstream,
};

impl DeploymentConfig {
    pub(super) fn deployment(
        &self,
        weight: u32,
        router: &RouterSettings,
        listed: &ListedModel,
    ) -> Deployment {
        /// Sets what is given.
        fn set<T>(
            to: Deployment,
            value: Option<T>,
            set: fn(Deployment, T) -> Deployment,
        ) -> Deployment {
            match value {
                Some(value) => set(to, value),
                None => to,
            }
        }
        let one = Deployment::new(self.id.as_str()).weight(weight).model(self.model.as_str());
        let one = set(one, self.order, Deployment::order);
        let limit = self.limits.parallel().or(router.default_max_parallel_requests);
        let one = set(one, limit, Deployment::max_parallel_requests);
        let one = set(one, self.timeout, Deployment::timeout);
        let one = set(one, self.stream_timeout, Deployment::stream_timeout);
        let one = set(one, self.num_retries, Deployment::retries);
        let one = set(one, self.prices.over(listed.price.as_ref()), Deployment::price);
        let one = set(one, self.paths(), Deployment::endpoints);
        let one = set(one, self.known_provider(), Deployment::provider);
        let one = set(
            one,
            self.adaptive_concurrency.then(AdaptiveConcurrency::new),
            Deployment::adaptive_concurrency,
        );
        let one = one.tags(self.tags.iter().map(String::as_str));
        let one = one.stream_usage(self.include_usage.unwrap_or_else(|| self.tells_usage()));
        if self.blocked {
            one.health().pause();
        }
        if !router.enable_pre_call_checks {
            return one;
        }
        let one = set(
            one,
            self.max_input_tokens.or(listed.max_input_tokens),
            Deployment::max_input_tokens,
        );
        let one = set(one, self.region_name.clone(), Deployment::region);
        set(one, self.supports_vision.or(listed.images), Deployment::images)
    }

    /// The endpoints it has: those that the file enforces, or those that its provider is known to have.
    fn paths(&self) -> Option<Vec<String>> {
        let known = || Some(self.api.endpoints()?.map(str::to_owned).collect());
        self.endpoints.clone().or_else(known)
    }

    /// Whether it surely knows `stream_options.include_usage`. One that does not might refuse the request.
    fn tells_usage(&self) -> bool {
        /// By their own documentation.
        const TELL: &[&str] = &[
            "cerebras",
            "deepinfra",
            "deepseek",
            "fireworks_ai",
            "groq",
            "hosted_vllm",
            "litellm_proxy",
            "openrouter",
            "together_ai",
            "xai",
        ];
        /// The first version of Azure's API that has it, but for those that have no date.
        const AZURE: &str = "2024-09-01";
        match self.api {
            Provider::OpenAi | Provider::Anthropic => true,
            Provider::Azure => self.api_version.as_deref().is_none_or(|version| version >= AZURE),
            _ => self.provider.as_deref().is_some_and(|name| TELL.contains(&name)),
        }
    }

    /// What a price list says of its model: of `base_model`, as in LiteLLM, or of what it is called with.
    pub(super) fn listed<'l>(&self, prices: &'l PriceList) -> Option<&'l ListedModel> {
        let provider = self.provider.as_deref();
        if let Some(model) = &self.base_model {
            let own = provider.and_then(|_| prices.get(provider, model));
            return own.or_else(|| prices.get(None, model));
        }
        prices.get(Some(self.known_provider()?), &self.model)
    }

    /// Who serves it. Without a provider it is OpenAI's, or of a server of which a list knows nothing.
    pub(in super::super) fn known_provider(&self) -> Option<&str> {
        let provider = self.provider.as_deref();
        provider.or((self.api == Provider::OpenAi).then_some("openai"))
    }

    /// Where it is, or what of that cannot be sent.
    pub(super) fn upstream(&self) -> Result<Upstream, Problem> {
        let problem = |key: &str, message: String| Problem {
            place: format!("{}.litellm_params.{key}", self.place),
            line: self.line,
            message,
        };
        let (base, key) = (&self.api_base, self.api_key.as_ref());
        let to = match self.api {
            Provider::Azure => Upstream::azure(base, &self.model, self.api_version.as_deref(), key),
            Provider::Anthropic => Upstream::anthropic(base, key),
            Provider::OpenAi | Provider::OpenAiCompatible => Upstream::openai(base, key),
        };
        let to = to.map_err(|error| problem("api_base", error.to_string()))?;
        self.headers.iter().try_fold(to, |to, (name, value)| {
            let with = to.header(name.clone(), value.clone());
            with.map_err(|error| problem("extra_headers", error.to_string()))
        })
    }
}
