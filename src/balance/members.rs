use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use super::{group::Group, strategy::Strategy};
use crate::deployment::Deployment;

/// The members of a [`Balance`](super::Balance), to change while it runs. A cheap handle.
///
/// A request in flight on a deployment that goes finishes undisturbed. A deployment put in under an id that is there
/// already takes over its vitals: what is in flight and what is known of its health.
pub struct Members<S, P> {
    group: Arc<Group<S, P>>,
}

impl<S, P> Members<S, P>
where
    S: Send + Sync + 'static,
    P: Strategy,
{
    pub(super) fn new(group: Arc<Group<S, P>>) -> Self {
        Self { group }
    }

    /// The deployments that can be picked or will be again.
    #[must_use]
    pub fn list(&self) -> Vec<Deployment> {
        self.group.deployments()
    }

    /// How many requests wait for a place, by class, the first class first; empty where none [may](super::QueuePolicy).
    #[must_use]
    pub fn waiting(&self) -> Vec<usize> {
        self.group.waiting()
    }

    /// Puts a deployment in, or another service and other attributes in the stead of the one with its id.
    pub fn insert(&self, deployment: Deployment, service: S) {
        self.group.insert([(deployment, service)]);
    }

    /// Makes `members` the whole set: those with a new id come, those whose id is missing go, the others stay with
    /// their vitals. One step: no pick sees a half of it.
    pub fn replace(&self, members: impl IntoIterator<Item = (Deployment, S)>) {
        self.group.replace(members);
    }

    /// Takes the deployment with this id out at once; none if there is no such.
    #[expect(clippy::must_use_candidate, reason = "the deployment is gone either way")]
    pub fn remove(&self, id: &str) -> Option<Deployment> {
        self.group.remove(id)
    }

    /// Stops sending to the deployment with this id and takes it out once nothing is in flight on it, which is when the
    /// future ends; at once if there is no such id. It drains whether or not the future is polled or kept.
    #[must_use = "the deployment drains anyway; the future tells when it is done"]
    pub fn drain(&self, id: &str) -> Drained {
        Drained { done: self.group.drain(id) }
    }
}

impl<S, P> Clone for Members<S, P> {
    fn clone(&self) -> Self {
        Self { group: Arc::clone(&self.group) }
    }
}

impl<S, P> fmt::Debug for Members<S, P>
where
    S: Send + Sync + 'static,
    P: Strategy,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

/// Ends when a deployment that was [drained](Members::drain) has nothing in flight any more.
///
/// # Cancel safety
///
/// Dropping it changes nothing.
#[derive(Debug)]
pub struct Drained {
    /// Never sends: the other side is dropped when the member goes.
    done: Option<oneshot::Receiver<()>>,
}

impl Future for Drained {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.done {
            Some(done) => Pin::new(done).poll(cx).map(|_| ()),
            None => Poll::Ready(()),
        }
    }
}
