//! From an entry of `model_list` to a deployment and where it is.

use http::header::AUTHORIZATION;

use super::Listed;
use crate::{
    config::{DeploymentConfig, Problem, RouterSettings},
    deployment::Deployment,
    upstream::Upstream,
};

impl DeploymentConfig {
    pub(super) fn deployment(
        &self,
        weight: u32,
        router: &RouterSettings,
        listed: &Listed,
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
        let limit = self.max_parallel_requests.or(router.default_max_parallel_requests);
        let one = set(one, limit, Deployment::max_parallel_requests);
        let one = set(one, self.timeout, Deployment::timeout);
        let one = set(one, self.stream_timeout, Deployment::stream_timeout);
        let one = set(one, self.num_retries, Deployment::retries);
        let one = set(one, self.prices.over(listed.price.as_ref()), Deployment::price);
        let one = set(one, self.endpoints.clone(), Deployment::endpoints);
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

    /// Where it is, or what of that cannot be sent.
    pub(super) fn upstream(&self) -> Result<Upstream, Problem> {
        let problem = |key: &str, message: String| Problem {
            place: format!("{}.litellm_params.{key}", self.place),
            line: self.line,
            message,
        };
        let mut to = Upstream::new(&self.api_base)
            .map_err(|error| problem("api_base", error.to_string()))?;
        if let Some(key) = &self.api_key {
            to = to
                .header(AUTHORIZATION, format!("Bearer {}", key.expose()))
                .map_err(|error| problem("api_key", error.to_string()))?;
        }
        for (name, value) in &self.headers {
            to = to
                .header(name.clone(), value.clone())
                .map_err(|error| problem("extra_headers", error.to_string()))?;
        }
        Ok(to)
    }
}
