//! `optional_pre_call_checks`.

use super::{field::Field, keys::CHECKS, value::Value};

/// What is asked for beside the strategy: LiteLLM's `optional_pre_call_checks`. Budgets and the limits that are always
/// limits need none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a check of that name")]
pub struct PreCallChecks {
    /// The requests of a caller's key stay with a deployment.
    pub deployment_affinity: bool,
    /// The requests of a session stay with a deployment.
    pub session_affinity: bool,
    /// A request that continues a response goes to the deployment that gave it.
    pub responses_api_deployment_check: bool,
    /// Requests whose prompts begin alike stay with a deployment, which may have that in its cache.
    pub prompt_caching: bool,
    /// `rpm` and `tpm` of deployments are limits.
    pub enforce_model_rate_limits: bool,
}

impl PreCallChecks {
    /// Whether any keeps requests together.
    #[must_use]
    pub const fn keep_together(self) -> bool {
        self.deployment_affinity
            || self.session_affinity
            || self.responses_api_deployment_check
            || self.prompt_caching
    }

    /// Whether any keeps requests together for a time, and not only with the answer they continue.
    pub(super) const fn keep_for_a_time(self) -> bool {
        self.deployment_affinity || self.session_affinity || self.prompt_caching
    }

    pub(super) fn read(field: Field<'_>) -> Self {
        let mut checks = Self::default();
        for field in field.list("a list of the names of checks").unwrap_or_default() {
            let Some(name) = field.text() else { continue };
            match &*name {
                "deployment_affinity" => checks.deployment_affinity = true,
                "session_affinity" => checks.session_affinity = true,
                "responses_api_deployment_check" => checks.responses_api_deployment_check = true,
                "prompt_caching" => checks.prompt_caching = true,
                "enforce_model_rate_limits" => checks.enforce_model_rate_limits = true,
                // Whatever has a budget is held to it.
                "router_budget_limiting" => {}
                other => tell(other, &field),
            }
        }
        checks
    }
}

/// Says what becomes of a check that changes nothing here.
fn tell(name: &str, field: &Field<'_>) {
    if let Some(fate) = CHECKS.fate(name, false) {
        fate.warning(&Value::Bool(true)).into_iter().for_each(|message| field.at.warn(message));
    } else {
        let names: Vec<_> = CHECKS.names().map(|name| format!("`{name}`")).collect();
        field.wrong(&format!("one of {}", names.join(", ")));
    }
}
