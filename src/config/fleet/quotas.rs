//! From limits and budgets of a file to quotas.

use crate::{
    config::{Budget, DeploymentConfig, Limits, RouterSettings},
    deployment::Deployment,
    quota::{Calendar, Limit, Quota},
};

/// What deployments share, each once for the whole fleet.
pub(super) struct Quotas {
    /// By the name of the group; and whether it lets nothing through.
    groups: Vec<(String, Quota, bool)>,
    providers: Vec<(String, Quota)>,
    tags: Vec<Quota>,
}

impl Quotas {
    pub(super) fn of(router: &RouterSettings) -> Self {
        let budget = |name: String, budget: &Budget| Quota::budget(name, [budget.limit()]);
        let groups = router.quota_groups.iter().map(|group| {
            let limits = &group.limits;
            let parallel = limits.max_parallel_requests.map(|most| Limit::parallel(most.into()));
            let quota = Quota::new(group.name.as_str(), limits.by_time(true).chain(parallel));
            (group.name.clone(), quota, limits.are_zero(true))
        });
        let providers = router.provider_budgets.iter();
        let tags = router.tag_budgets.iter();
        Self {
            groups: groups.collect(),
            providers: providers
                .map(|(name, it)| (name.clone(), budget(format!("provider {name}"), it)))
                .collect(),
            tags: tags
                .map(|(tag, it)| budget(format!("tag {tag}"), it).for_tag(tag.as_str()))
                .collect(),
        }
    }

    /// The deployment, with its own limits and those it shares.
    pub(super) fn limit(
        &mut self,
        one: Deployment,
        config: &DeploymentConfig,
        router: &RouterSettings,
    ) -> Deployment {
        let enforces = router.enforces_rates();
        let one = config.limits.by_time(enforces).fold(one, Deployment::limit);
        let mut is_zero = config.limits.are_zero(enforces);
        let one = match &config.quota_group {
            Some(name) => {
                let (quota, zero) = self.group(name);
                is_zero |= zero;
                one.quota(quota)
            }
            None => one,
        };
        let provider = config.known_provider();
        let of_provider = self.providers.iter().filter(|(name, _)| Some(&**name) == provider);
        let shared = of_provider.map(|(_, quota)| quota).chain(&self.tags);
        let one = shared.fold(one, Deployment::quota).reported_limits(true);
        if is_zero {
            one.health().pause();
        }
        one
    }

    /// The group of this name. One that the file does not list has no limits of its own, but what the provider says of one
    /// of its deployments holds for all.
    fn group(&mut self, name: &str) -> (&Quota, bool) {
        let known = self.groups.iter().position(|(known, ..)| known == name);
        let index = known.unwrap_or_else(|| {
            self.groups.push((name.to_owned(), Quota::new(name, []), false));
            self.groups.len() - 1
        });
        let (_, quota, is_zero) = &self.groups[index];
        (quota, *is_zero)
    }
}

impl Limits {
    /// Those that hold in a time, `rpm` and `tpm` where they are enforced.
    fn by_time(&self, enforces_rates: bool) -> impl Iterator<Item = Limit> {
        let daily = |limit: Limit| match self.daily_reset_time {
            Some(time) => limit.within(Calendar::daily().at(time)),
            None => limit,
        };
        let rates = [self.rpm.map(Limit::rpm), self.tpm.map(Limit::tpm)];
        let rates = rates.into_iter().filter(move |_| enforces_rates);
        let others = [
            self.itpm.map(Limit::itpm),
            self.otpm.map(Limit::otpm),
            self.rpd.map(Limit::rpd).map(daily),
            self.tpd.map(Limit::tpd).map(daily),
            self.budget.as_ref().map(Budget::limit),
        ];
        rates.chain(others).flatten()
    }
}

impl Budget {
    fn limit(&self) -> Limit {
        Limit::dollars(self.dollars, self.window)
    }
}
