//! What a request needs that not every deployment has.

use std::sync::Arc;

use super::tags::{TagNeeds, Tags};
use crate::{
    deployment::Deployment,
    error::{Lack, Refused, RefusedReason},
    trail::{Demand, Removed},
};

/// The part of a demand that deployments may not meet.
#[derive(Debug)]
pub(super) struct Particulars<'a> {
    /// None where it makes no difference.
    demand: Option<&'a Demand>,
    tags: Option<TagNeeds<'a>>,
}

/// The same, to hand on.
#[derive(Clone, Copy, Debug)]
pub(in crate::balance) struct Needs<'a>(&'a Particulars<'a>);

impl<'a> Particulars<'a> {
    /// What of `demand` could keep any member from the request. `picky`: some members [are](is_picky).
    #[inline]
    pub(super) fn of(demand: Option<&'a Demand>, picky: bool, tags: &Tags) -> Option<Self> {
        let tags = tags.needs(demand.map_or(&[], |demand| &demand.tags));
        let concerns = |demand: &&Demand| {
            // A member that names no region is in none, so this concerns every group.
            demand.region.is_some()
                || picky
                    && (demand.input_tokens.is_some() || demand.endpoint.is_some() || demand.images)
        };
        let demand = demand.filter(concerns);
        (demand.is_some() || tags.is_some()).then_some(Self { demand, tags })
    }

    pub(super) fn needs(&self) -> Needs<'_> {
        Needs(self)
    }
}

impl Needs<'_> {
    pub(in crate::balance) fn are_met_by(self, deployment: &Deployment) -> bool {
        self.has_room(deployment) && self.is_supported(deployment)
    }

    /// What keeps the request from `deployment`, if it does.
    pub(super) fn lacking(self, deployment: &Deployment) -> Option<Removed> {
        let needs = [
            (self.has_room(deployment), Removed::ContextWindow),
            (self.is_there(deployment), Removed::Region),
            (self.has_endpoint(deployment), Removed::Endpoint),
            (self.takes_images(deployment), Removed::Images),
            (self.has_tags(deployment), Removed::Tags),
        ];
        needs.into_iter().find(|(is_met, _)| !is_met).map(|(_, removed)| removed)
    }

    /// Why none of `deployments`, of which none meets these needs, can take the request.
    pub(super) fn refusal(self, deployments: &[&Deployment]) -> Refused {
        let supporting = deployments.iter().filter(|one| self.is_supported(one));
        // A shorter input could go there.
        match supporting.filter_map(|one| one.get_max_input_tokens()).max() {
            Some(most) => Refused::new(RefusedReason::ContextWindow).lacking(Lack {
                input_tokens: self.0.demand.and_then(|demand| demand.input_tokens),
                max_input_tokens: Some(most),
                ..Lack::default()
            }),
            None => Refused::new(RefusedReason::Unsupported).lacking(self.lack(deployments)),
        }
    }

    /// What none of `deployments` has; if each of the needs is met by some, those that are not by all.
    fn lack(self, deployments: &[&Deployment]) -> Lack {
        let needs = [Self::is_there, Self::has_endpoint, Self::takes_images, Self::has_tags];
        let nowhere = needs.map(|met| !deployments.iter().any(|one| met(self, one)));
        let [region, endpoint, images, tags] = if nowhere.contains(&true) {
            nowhere
        } else {
            needs.map(|met| !deployments.iter().all(|one| met(self, one)))
        };
        let asked = |what: fn(&Demand) -> &Option<Arc<str>>| {
            self.0.demand.and_then(|one| what(one).clone())
        };
        Lack {
            images,
            endpoint: asked(|demand| &demand.endpoint).filter(|_| endpoint),
            region: asked(|demand| &demand.region).filter(|_| region),
            tags: self.0.tags.filter(|_| tags).map_or(Vec::new(), |tags| tags.asked().to_vec()),
            ..Lack::default()
        }
    }

    fn has_room(self, deployment: &Deployment) -> bool {
        let asked = self.0.demand.and_then(|demand| demand.input_tokens);
        let limits = asked.zip(deployment.get_max_input_tokens());
        limits.is_none_or(|(tokens, most)| tokens <= most)
    }

    fn is_supported(self, deployment: &Deployment) -> bool {
        self.is_there(deployment)
            && self.has_endpoint(deployment)
            && self.takes_images(deployment)
            && self.has_tags(deployment)
    }

    fn is_there(self, deployment: &Deployment) -> bool {
        let is_in = |area| deployment.get_region().is_some_and(|region| is_within(region, area));
        self.0.demand.and_then(|demand| demand.region.as_deref()).is_none_or(is_in)
    }

    fn has_endpoint(self, deployment: &Deployment) -> bool {
        let asked = self.0.demand.and_then(|demand| demand.endpoint.as_ref());
        let endpoints = asked.zip(deployment.get_endpoints());
        endpoints.is_none_or(|(endpoint, all)| all.contains(endpoint))
    }

    fn takes_images(self, deployment: &Deployment) -> bool {
        !self.0.demand.is_some_and(|demand| demand.images) || deployment.get_images() != Some(false)
    }

    fn has_tags(self, deployment: &Deployment) -> bool {
        self.0.tags.is_none_or(|tags| tags.are_met_by(deployment))
    }
}

/// Whether `region` is `area` or a part of it by its name, in whatever case: `eu-west-1` is within `EU`.
fn is_within(region: &str, area: &str) -> bool {
    let (region, area) = (region.as_bytes(), area.as_bytes());
    region.split_at_checked(area.len()).is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(area) && matches!(rest, [] | [b'-', ..])
    })
}

/// Whether it turns requests away by more than their region and their tags.
pub(super) fn is_picky(deployment: &Deployment) -> bool {
    deployment.get_max_input_tokens().is_some()
        || deployment.get_endpoints().is_some()
        || deployment.get_images() == Some(false)
}
