//! A pool behind its lock, with the services beside the members, and the lease.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU64,
    sync::{Arc, Weak},
    task::Waker,
};

use fastrand::Rng;
use tokio::{sync::oneshot, time::Instant};

use super::{
    lease::{Lease, Release},
    pool::{Picked, Pool, TagMatch, Wish},
    strategy::Strategy,
    waiting::Line,
};
use crate::{
    deployment::{Admission, Deployment, Key, Pinned, Pins, Watch},
    error::{Refused, RefusedReason},
    sync::Lock,
    trail::Demand,
};

mod turns;

pub(super) use self::turns::{Seat, Turn};

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
    /// Those who wait for a place, where they may.
    line: Option<Box<Line>>,
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

impl<S> Inner<S> {
    fn service(&self, picked: &Picked) -> Option<Arc<S>> {
        let place = self.places.get(picked.key.index as usize)?;
        place.as_ref().map(|place| Arc::clone(&place.service))
    }
}

impl<S, P> Group<S, P>
where
    S: Send + Sync + 'static,
    P: Strategy,
{
    pub(crate) fn new(strategy: P, rng: Rng, max_ejected: f32) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| {
            let pool = Pool::new(rng, max_ejected).of_group(this.as_ptr().addr());
            let inner = Lock::new(Inner { pool, places: Vec::new(), line: None });
            Self { inner, strategy, this: Weak::clone(this) }
        })
    }

    pub(crate) fn max_ejected(&self, share: f32) {
        let mut inner = self.inner.lock();
        inner.pool.set_max_ejected(share, Instant::now());
        let next = inner.offer(true);
        drop(inner);
        wake(next);
    }

    pub(crate) fn spill(&self, factor: Option<f32>) {
        self.inner.lock().pool.set_spill(factor);
    }

    pub(crate) fn tags(&self, how: TagMatch) {
        self.inner.lock().pool.set_tag_match(how);
    }

    pub(crate) fn seed(&self, seed: u64) {
        self.inner.lock().pool.seed(seed);
    }

    pub(crate) fn pick(self: &Arc<Self>, wish: &Wish<'_>) -> Result<Leased<S>, Refused> {
        let mut inner = self.inner.lock();
        if inner.line.is_some() {
            let (is_held_back, next) = inner.is_held_back(wish.now);
            if is_held_back {
                let refused = inner.pool.refuse(wish);
                drop(inner);
                wake(next);
                return Err(refused);
            }
        }
        let picked = inner.pool.pick(&self.strategy, wish);
        let unused_probes = inner.pool.take_unused_probes();
        let service = picked.as_ref().ok().and_then(|picked| inner.service(picked));
        drop(inner);
        drop(unused_probes);
        self.lease(picked?, service)
    }

    /// With the group's lock free: a lease that is dropped takes it.
    fn lease(
        self: &Arc<Self>,
        picked: Picked,
        service: Option<Arc<S>>,
    ) -> Result<Leased<S>, Refused> {
        let Picked { key, deployment, admission, hold, probe, spare } = picked;
        let group = Arc::clone(self) as Arc<dyn Release>;
        let lease = Lease::new(group, key, deployment, hold, probe);
        // Every member has a place; were one missing, the lease would give back what the pick took.
        let service = service.ok_or_else(|| Refused::new(RefusedReason::Empty))?;
        Ok(Leased { service, lease, admission, spare })
    }

    /// By what a request is pinned here, where the strategy remembers that.
    pub(crate) fn pinned(&self, demand: Option<&Demand>) -> Option<Pinned> {
        let pins = self.strategy.pins()?.clone();
        let affinity = demand.and_then(|demand| demand.affinity.as_deref());
        let key = affinity.map(|affinity| Pins::key(self.this.as_ptr().addr(), affinity));
        Some(Pinned { pins, key: key.and_then(NonZeroU64::new) })
    }

    pub(crate) fn deployments(&self) -> Vec<Deployment> {
        self.inner.lock().pool.deployments().cloned().collect()
    }

    /// Puts members in; one whose id is there already takes over the vitals and the requests in flight.
    pub(crate) fn insert(&self, members: impl IntoIterator<Item = (Deployment, S)>) {
        let members: Vec<_> = members.into_iter().collect();
        let mut inner = self.inner.lock();
        let before = self.put(&mut inner, members);
        let next = inner.offer(true);
        drop(inner);
        drop(before);
        wake(next);
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
        let next = inner.offer(true);
        drop(inner);
        drop((gone, before));
        wake(next);
    }

    pub(crate) fn remove(&self, id: &str) -> Option<Deployment> {
        let mut inner = self.inner.lock();
        let key = inner.pool.find(id)?;
        let gone = self.take_away(&mut inner, key);
        inner.pool.rebuild(Instant::now());
        let next = inner.offer(true);
        drop(inner);
        wake(next);
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
        let next = inner.offer(true);
        drop(inner);
        drop(gone);
        wake(next);
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
    fn changed(&self, member: Key) -> bool {
        let mut inner = self.inner.lock();
        inner.pool.changed(member, Instant::now());
        // If it went out, those that waited for it have to learn of it.
        let everyone = inner.pool.is_out(member);
        let next = inner.offer(everyone);
        drop(inner);
        let wakes = next.is_some();
        wake(next);
        wakes
    }

    fn deployment(&self, member: Key) -> Option<Deployment> {
        self.inner.lock().pool.deployment(member).cloned()
    }
}

fn wake(next: Option<Waker>) {
    if let Some(waker) = next {
        waker.wake();
    }
}

impl<S, P> Release for Group<S, P>
where
    S: Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    fn release(&self, key: Key) {
        let mut inner = self.inner.lock();
        let gone = inner.pool.release(key).and_then(|drained| self.take_away(&mut inner, drained));
        let next = inner.offer(false);
        drop(inner);
        drop(gone);
        wake(next);
    }
}
