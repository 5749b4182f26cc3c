//! What a request needs that not every deployment has.

use crate::{
    deployment::Deployment,
    error::{Lack, Refused, RefusedReason},
    trail::Demand,
};

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
    pub(super) fn refusal(self, deployments: &[&Deployment]) -> Refused {
        let supporting = deployments.iter().filter(|one| self.is_supported(one));
        // A shorter input could go there.
        match supporting.filter_map(|one| one.get_max_input_tokens()).max() {
            Some(most) => Refused::new(RefusedReason::ContextWindow).lacking(Lack {
                input_tokens: self.0.input_tokens,
                max_input_tokens: Some(most),
                ..Lack::default()
            }),
            None => Refused::new(RefusedReason::Unsupported).lacking(self.lack(deployments)),
        }
    }

    /// What none of `deployments` has; if each of the needs is met by some, those that are not by all.
    fn lack(self, deployments: &[&Deployment]) -> Lack {
        let needs = [Self::is_there, Self::has_endpoint, Self::takes_images];
        let nowhere = needs.map(|met| !deployments.iter().any(|one| met(self, one)));
        let [region, endpoint, images] = if nowhere.contains(&true) {
            nowhere
        } else {
            needs.map(|met| !deployments.iter().all(|one| met(self, one)))
        };
        let asked = self.0;
        Lack {
            images,
            endpoint: asked.endpoint.clone().filter(|_| endpoint),
            region: asked.region.clone().filter(|_| region),
            ..Lack::default()
        }
    }

    fn has_room(self, deployment: &Deployment) -> bool {
        let limits = self.0.input_tokens.zip(deployment.get_max_input_tokens());
        limits.is_none_or(|(tokens, most)| tokens <= most)
    }

    fn is_supported(self, deployment: &Deployment) -> bool {
        self.is_there(deployment) && self.has_endpoint(deployment) && self.takes_images(deployment)
    }

    fn is_there(self, deployment: &Deployment) -> bool {
        let is_in = |area| deployment.get_region().is_some_and(|region| is_within(region, area));
        self.0.region.as_deref().is_none_or(is_in)
    }

    fn has_endpoint(self, deployment: &Deployment) -> bool {
        let endpoints = self.0.endpoint.as_ref().zip(deployment.get_endpoints());
        endpoints.is_none_or(|(endpoint, all)| all.contains(endpoint))
    }

    fn takes_images(self, deployment: &Deployment) -> bool {
        !self.0.images || deployment.get_images() != Some(false)
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
