//! A pool behind its lock, with the services beside the members, and the lease.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use fastrand::Rng;
use tokio::{sync::oneshot, time::Instant};

use super::{
    pool::{Picked, Pool, Wish},
    strategy::Strategy,
};
use crate::{
    body::{End, OnEnd},
    deployment::{Admission, Deployment, Key, Probe, Sample, Sampling, Watch},
    error::{Refused, RefusedReason},
    quota::{Hold, Reservation},
    sync::Lock,
    trail::Demand,
};

/// One group of members. Its lock is held for the pick or the release alone.
pub(crate) struct Group<S, P> {
    inner: Lock<Inner<S>>,
    strategy: P,
    /// Itself, for the health of the members to call.
    this: Weak<Self>,
}

struct Inner<S> {
    pool: Pool,
    /// By the index of the member.
    places: Vec<Option<Place<S>>>,
}

struct Place<S> {
    service: Arc<S>,
    /// Dropped with the place, which is what whoever drains the member waits for.
    drained: Vec<oneshot::Sender<()>>,
}

/// A pick: the service to call, and the lease that ends with the response.
pub(crate) struct Leased<S> {
    pub(crate) service: Arc<S>,
    pub(crate) lease: Lease,
    pub(crate) admission: Admission,
    pub(crate) spare: bool,
}

impl<S, P> Group<S, P>
where
    S: Send + Sync + 'static,
    P: Strategy,
{
    pub(crate) fn new(strategy: P, rng: Rng, max_ejected: f32) -> Arc<Self> {
        let inner = Inner { pool: Pool::new(rng, max_ejected), places: Vec::new() };
        Arc::new_cyclic(|this| Self { inner: Lock::new(inner), strategy, this: Weak::clone(this) })
    }

    pub(crate) fn max_ejected(&self, share: f32) {
        self.inner.lock().pool.set_max_ejected(share, Instant::now());
    }

    pub(crate) fn seed(&self, seed: u64) {
        self.inner.lock().pool.seed(seed);
    }

    pub(crate) fn pick(self: &Arc<Self>, wish: &Wish<'_>) -> Result<Leased<S>, Refused> {
        let mut inner = self.inner.lock();
        let picked = inner.pool.pick(&self.strategy, wish);
        let refused_probes = inner.pool.take_unused_probes();
        let Picked { key, deployment, admission, hold, probe, spare } = match picked {
            Ok(picked) => picked,
            Err(refused) => {
                drop(inner);
                drop(refused_probes);
                return Err(refused);
            }
        };
        let place = inner.places.get(key.index as usize).and_then(Option::as_ref);
        let service = place.map(|place| Arc::clone(&place.service));
        drop(inner);
        let group = Arc::clone(self) as Arc<dyn Release>;
        let lease = Lease { group, key, deployment, hold, probe, sampling: None, sample: None };
        // Every member has a place; were one missing, the lease would give back what the pick took.
        let service = service.ok_or_else(|| Refused::new(RefusedReason::Empty))?;
        Ok(Leased { service, lease, admission, spare })
    }

    pub(crate) fn deployments(&self) -> Vec<Deployment> {
        self.inner.lock().pool.deployments().cloned().collect()
    }

    /// Puts members in; one whose id is there already takes over the vitals and the requests in flight.
    pub(crate) fn insert(&self, members: impl IntoIterator<Item = (Deployment, S)>) {
        let members: Vec<_> = members.into_iter().collect();
        let mut inner = self.inner.lock();
        let before = self.put(&mut inner, members);
        drop(inner);
        drop(before);
    }

    /// Makes `members` the whole group.
    pub(crate) fn replace(&self, members: impl IntoIterator<Item = (Deployment, S)>) {
        let members: Vec<_> = members.into_iter().collect();
        let stay: HashSet<_> =
            members.iter().map(|(deployment, _)| deployment.id().to_owned()).collect();
        let mut inner = self.inner.lock();
        let leave = inner.pool.keys().filter(|(deployment, _)| !stay.contains(deployment.id()));
        let leave: Vec<_> = leave.map(|(_, key)| key).collect();
        let gone: Vec<_> =
            leave.into_iter().filter_map(|key| self.take_away(&mut inner, key)).collect();
        let before = self.put(&mut inner, members);
        drop(inner);
        drop((gone, before));
    }

    pub(crate) fn remove(&self, id: &str) -> Option<Deployment> {
        let mut inner = self.inner.lock();
        let key = inner.pool.find(id)?;
        let gone = self.take_away(&mut inner, key);
        inner.pool.rebuild(Instant::now());
        drop(inner);
        gone.map(|(deployment, _)| deployment)
    }

    /// Stops picks of a member. The receiver ends, with an error, once nothing is in flight on it.
    pub(crate) fn drain(&self, id: &str) -> Option<oneshot::Receiver<()>> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.inner.lock();
        let key = inner.pool.find(id).or_else(|| inner.pool.find_draining(id))?;
        let idle = inner.pool.drain(key);
        if let Some(Some(place)) = inner.places.get_mut(key.index as usize) {
            place.drained.push(sender);
        }
        let gone = if idle { self.take_away(&mut inner, key) } else { None };
        inner.pool.rebuild(Instant::now());
        drop(inner);
        drop(gone);
        Some(receiver)
    }

    /// Puts members in and returns the services they replace, to be dropped outside the lock.
    fn put(&self, inner: &mut Inner<S>, members: Vec<(Deployment, S)>) -> Vec<Arc<S>> {
        let mut replaced = Vec::new();
        let there = inner
            .pool
            .keys()
            .map(|(deployment, key)| (deployment.id().to_owned(), (deployment.clone(), key)));
        let mut there: HashMap<_, _> = there.collect();
        let decay = self.strategy.latency_decay();
        for (deployment, service) in members {
            let service = Arc::new(service);
            if let Some((before, key)) = there.get_mut(deployment.id()) {
                let deployment = deployment.with_vitals_of(before);
                before.unwatch(&self.watcher(), *key);
                deployment.watch(&self.watcher(), *key);
                *before = deployment.clone();
                inner.pool.update(*key, deployment);
                if let Some(Some(place)) = inner.places.get_mut(key.index as usize) {
                    replaced.push(std::mem::replace(&mut place.service, service));
                }
                continue;
            }
            if let Some(decay) = decay {
                deployment.latency().sample_over(decay);
            }
            let key = inner.pool.add(deployment.clone());
            there.insert(deployment.id().to_owned(), (deployment.clone(), key));
            let index = key.index as usize;
            inner.places.resize_with(inner.places.len().max(index + 1), || None);
            inner.places[index] = Some(Place { service, drained: Vec::new() });
            deployment.watch(&self.watcher(), key);
        }
        inner.pool.rebuild(Instant::now());
        replaced
    }
}

impl<S, P> Group<S, P>
where
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    fn watcher(&self) -> Weak<dyn Watch> {
        Weak::clone(&self.this) as Weak<dyn Watch>
    }

    fn take_away(&self, inner: &mut Inner<S>, key: Key) -> Option<(Deployment, Place<S>)> {
        let deployment = inner.pool.remove(key)?;
        deployment.unwatch(&self.watcher(), key);
        let place = inner.places.get_mut(key.index as usize)?.take()?;
        Some((deployment, place))
    }
}

impl<S, P> Watch for Group<S, P>
where
    S: Send + Sync,
    P: Send + Sync,
{
    fn changed(&self, member: Key) {
        self.inner.lock().pool.changed(member, Instant::now());
    }
}

/// The side of a group a lease needs, whatever its services are.
trait Release: Send + Sync {
    fn release(&self, key: Key);
}

impl<S, P> Release for Group<S, P>
where
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    fn release(&self, key: Key) {
        let mut inner = self.inner.lock();
        let gone = inner.pool.release(key).and_then(|drained| self.take_away(&mut inner, drained));
        drop(inner);
        drop(gone);
    }
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
    /// Where something reads latencies.
    sampling: Option<Box<Sampling>>,
    /// Where the deployment's limit adapts.
    pub(super) sample: Option<Sample>,
}

impl Lease {
    /// Has the deployment's limit learn how the request fares, which is sent now.
    pub(super) fn sample(&mut self, started: Instant, demand: Option<&Demand>) {
        self.sample = self.deployment.sample(started, demand);
    }

    /// Measures the request, which is sent now.
    pub(super) fn measure(&mut self, started: Instant, stream: bool) {
        self.sampling = Sampling::begin(&self.deployment, started, stream);
    }

    pub(super) fn sampling(&mut self) -> Option<&mut Sampling> {
        self.sampling.as_deref_mut()
    }

    pub(crate) fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// What it holds of quotas, where there are any.
    pub(crate) fn hold(&self) -> Option<&Arc<Hold>> {
        Some(self.hold.as_ref()?.hold())
    }
}

impl Drop for Lease {
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
    fn on_data(&mut self) {
        if let Some(sample) = self.sample.take() {
            sample.chunk();
        }
        if let Some(sampling) = &mut self.sampling {
            sampling.chunk();
        }
    }

    fn on_end(mut self, end: &End<'_>) {
        if let Some(sampling) = &mut self.sampling {
            sampling.end(end);
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lease").field(&self.deployment.id()).finish()
    }
}
