//! What a request needs that not every deployment has.

use crate::{deployment::Deployment, error::RefusedReason, trail::Demand};

/// The part of a demand that deployments may not meet.
#[derive(Clone, Copy, Debug)]
pub(in crate::balance) struct Needs<'a>(&'a Demand);

impl<'a> Needs<'a> {
    /// What `demand` needs, where that could keep any member from it. `picky`: some members [are](is_picky).
    pub(super) fn of(demand: &'a Demand, picky: bool) -> Option<Self> {
        // A member that names no region is in none, so this concerns every group.
        let concerns = demand.input_tokens.is_some() || demand.endpoint.is_some() || demand.images;
        (demand.region.is_some() || picky && concerns).then_some(Self(demand))
    }

    pub(in crate::balance) fn are_met_by(self, deployment: &Deployment) -> bool {
        self.has_room(deployment) && self.is_supported(deployment)
    }

    /// Why none of `deployments`, of which none meets these needs, can take the request.
    pub(super) fn refusal<'d>(
        self,
        mut deployments: impl Iterator<Item = &'d Deployment>,
    ) -> RefusedReason {
        // A shorter input could go there.
        if deployments.any(|one| self.is_supported(one)) {
            RefusedReason::ContextWindow
        } else {
            RefusedReason::Unsupported
        }
    }

    fn has_room(self, deployment: &Deployment) -> bool {
        let limits = self.0.input_tokens.zip(deployment.get_max_input_tokens());
        limits.is_none_or(|(tokens, most)| tokens <= most)
    }

    fn is_supported(self, deployment: &Deployment) -> bool {
        let Demand { region, endpoint, images, .. } = self.0;
        let is_there = region.as_ref().is_none_or(|area| {
            deployment.get_region().is_some_and(|region| is_within(region, area))
        });
        let endpoints = endpoint.as_ref().zip(deployment.get_endpoints());
        let has_it = endpoints.is_none_or(|(endpoint, all)| all.contains(endpoint));
        is_there && has_it && !(*images && deployment.get_images() == Some(false))
    }
}

/// Whether `region` is `area` or a part of it by its name: `eu-west-1` is within `eu`.
fn is_within(region: &str, area: &str) -> bool {
    region.strip_prefix(area).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Whether it turns requests away by more than their region.
pub(super) fn is_picky(deployment: &Deployment) -> bool {
    deployment.get_max_input_tokens().is_some()
        || deployment.get_endpoints().is_some()
        || deployment.get_images() == Some(false)
}
