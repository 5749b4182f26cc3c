//! What a request holds of a balance, and what is learned from how it fares.

use std::sync::Arc;

use http::Response;
use tokio::time::Instant;

use crate::{
    Error,
    body::{End, OnEnd},
    deployment::{Deployment, Key, Probe, Sample, Sampling},
    quota::{Hold, Reservation},
    trail::Demand,
};

/// The side of a group a lease needs, whatever its services are.
pub(super) trait Release: Send + Sync {
    fn release(&self, key: Key);
}

/// A place on a member: taken with the pick, given back once, when this is dropped.
pub struct Lease {
    group: Arc<dyn Release>,
    key: Key,
    deployment: Deployment,
    /// Given back before the place, so that the group sees what it leaves.
    hold: Option<Reservation>,
    /// Given back after the place, with the group's lock free: it may call the group.
    probe: Option<Probe>,
    /// Once the request is sent. Boxed, because few have any and every response carries the room.
    learners: Option<Box<Learners>>,
}

/// Who learns how a request fares.
struct Learners {
    /// Where something reads latencies.
    latency: Option<Sampling>,
    /// Where the deployment's limit adapts, until it knows.
    limit: Option<Sample>,
}

impl Lease {
    pub(super) fn new(
        group: Arc<dyn Release>,
        key: Key,
        deployment: Deployment,
        hold: Option<Reservation>,
        probe: Option<Probe>,
    ) -> Self {
        Self { group, key, deployment, hold, probe, learners: None }
    }

    /// Says that the request is sent now.
    #[inline]
    pub(super) fn sent(&mut self, started: Instant, demand: Option<&Demand>) {
        if let Some(hold) = &self.hold {
            hold.hold().sent();
        }
        if self.deployment.is_learned_from() {
            self.learn(started, demand);
        }
    }

    fn learn(&mut self, started: Instant, demand: Option<&Demand>) {
        let stream = demand.is_some_and(|demand| demand.stream);
        let latency = Sampling::begin(&self.deployment, started, stream);
        let limit = self.deployment.sample(started, demand);
        self.learners = Some(Box::new(Learners { latency, limit }));
    }

    /// Takes the response head.
    #[inline]
    pub(super) fn head<R>(&mut self, response: &Response<R>) {
        if let Some(learners) = &mut self.learners {
            learners.head(response);
        }
    }

    /// Takes the error that came instead of a head.
    pub(super) fn error(&mut self, error: &Error) {
        let Some(Learners { latency, limit }) = self.learners.as_deref_mut() else { return };
        if let Some(limit) = limit.take() {
            limit.error(error);
        }
        if let Some(latency) = latency {
            latency.error(error);
        }
    }

    pub(crate) fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// What it holds of quotas, where there are any.
    pub(crate) fn hold(&self) -> Option<&Arc<Hold>> {
        Some(self.hold.as_ref()?.hold())
    }
}

impl Learners {
    fn head<R>(&mut self, response: &Response<R>) {
        self.limit = self.limit.take().and_then(|limit| limit.head(response));
        if let Some(latency) = &mut self.latency {
            latency.head(response.status(), response.headers(), response.extensions());
        }
    }

    fn chunk(&mut self) {
        if let Some(limit) = self.limit.take() {
            limit.chunk();
        }
        if let Some(latency) = &mut self.latency {
            latency.chunk();
        }
    }

    fn end(&mut self, end: &End<'_>) {
        if let Some(latency) = &mut self.latency {
            latency.end(end);
        }
    }
}

impl Drop for Lease {
    #[inline]
    fn drop(&mut self) {
        let is_awaited = self.deployment.vacate();
        drop(self.hold.take());
        self.group.release(self.key);
        if is_awaited {
            self.deployment.health().tell();
        }
        drop(self.probe.take());
    }
}

impl OnEnd for Lease {
    #[inline]
    fn on_data(&mut self) {
        if let Some(learners) = &mut self.learners {
            learners.chunk();
        }
    }

    #[inline]
    fn on_end(mut self, end: &End<'_>) {
        if let Some(learners) = &mut self.learners {
            learners.end(end);
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lease").field(&self.deployment.id()).finish()
    }
}
