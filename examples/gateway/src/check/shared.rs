//! What the deployments of a configuration share: quotas, callers, the queue.

use std::fmt;

use tower_fleet::{
    Deployment,
    config::{Queue, RouterSettings},
    quota::Quota,
};

use super::Seconds;

/// The quotas, and which deployments share in them.
pub(super) struct Quotas<'a> {
    quotas: Vec<(&'a Quota, Vec<&'a str>)>,
    deployments: usize,
}

impl<'a> Quotas<'a> {
    pub(super) fn of(deployments: impl Iterator<Item = &'a Deployment>) -> Self {
        let mut all = Self { quotas: Vec::new(), deployments: 0 };
        for deployment in deployments {
            all.deployments += 1;
            for quota in deployment.quotas() {
                let is = |other: &Quota| {
                    (other.is_budget(), other.name()) == (quota.is_budget(), quota.name())
                };
                match all.quotas.iter_mut().find(|(other, _)| is(other)) {
                    Some((_, ids)) => ids.push(deployment.id()),
                    None => all.quotas.push((quota, vec![deployment.id()])),
                }
            }
        }
        all
    }
}

impl fmt::Display for Quotas<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.quotas.is_empty() {
            f.write_str("\nquotas:")?;
        }
        for (quota, ids) in &self.quotas {
            let limits: Vec<_> = quota.limits().iter().map(ToString::to_string).collect();
            let limits = if limits.is_empty() { "no limits".to_owned() } else { limits.join(", ") };
            write!(f, "\n  {}: {limits}", quota.name())?;
            if ids.len() < self.deployments {
                write!(f, ", for {} together", ids.join(", "))?;
            } else {
                f.write_str(", for all together")?;
            }
        }
        Ok(())
    }
}

/// Which requests stay with a deployment.
pub(super) struct Together<'a>(pub(super) &'a RouterSettings);

impl fmt::Display for Together<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(router) = self;
        let checks = &router.optional_pre_call_checks;
        let all = [
            (checks.responses_api_deployment_check, "a response"),
            (checks.session_affinity, "a session"),
            (checks.prompt_caching, "the opening of a prompt"),
            (checks.deployment_affinity, "a caller"),
        ];
        let all: Vec<_> =
            all.into_iter().filter_map(|(is_set, what)| is_set.then_some(what)).collect();
        if all.is_empty() {
            return Ok(());
        }
        write!(f, "\n  kept together: by {}", all.join(", "))?;
        if let Some(time) = router.deployment_affinity_ttl {
            write!(f, ", for {}", Seconds(time))?;
        }
        if router.session_affinity_repin_on_failover {
            f.write_str(", after a failure where they went")?;
        }
        Ok(())
    }
}

/// How requests wait, and the priority of those that name none.
pub(super) struct Queued<'a>(pub(super) &'a Queue, pub(super) Option<i32>);

impl fmt::Display for Queued<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(queue, priority) = self;
        write!(f, "up to {} requests of a group wait", queue.max_waiting)?;
        if let Some(time) = queue.max_wait {
            write!(f, ", for {} at most", Seconds(time))?;
        }
        if queue.before_fallback {
            f.write_str(", also where there is a fallback")?;
        }
        for class in &queue.classes {
            write!(f, "; {} % are for those up to priority {}", class.share * 100.0, class.up_to)?;
        }
        match priority {
            Some(priority) => write!(f, "; priority {priority} where none is named"),
            None => Ok(()),
        }
    }
}
