//! Who wants to know when what can be sent to a deployment changes.

use std::{fmt, sync::Weak};

use super::{Deployment, Key, Watch};
use crate::sync::Lock;

/// The groups that have something as a member, and by what they know it.
#[derive(Default)]
pub(crate) struct Watchers(Lock<Vec<(Weak<dyn Watch>, Key)>>);

impl Watchers {
    pub(crate) fn add(&self, watcher: Weak<dyn Watch>, member: Key) {
        let mut watchers = self.0.lock();
        watchers.retain(|(watcher, _)| watcher.strong_count() > 0);
        watchers.push((watcher, member));
    }

    pub(crate) fn remove(&self, watcher: &Weak<dyn Watch>, member: Key) {
        self.0.lock().retain(|(other, watched)| *watched != member || !other.ptr_eq(watcher));
    }

    /// What they know as this deployment, or as one that shares what is watched.
    pub(crate) fn deployments(&self) -> Vec<Deployment> {
        let watchers = self.0.lock().clone();
        let known =
            |(watcher, member): (Weak<dyn Watch>, Key)| watcher.upgrade()?.deployment(member);
        watchers.into_iter().filter_map(known).collect()
    }

    /// Tells all of them. To be called with no lock held.
    pub(crate) fn tell(&self) {
        let watchers = self.0.lock().clone();
        for (watcher, member) in watchers {
            if let Some(watcher) = watcher.upgrade() {
                watcher.changed(member);
            }
        }
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").finish_non_exhaustive()
    }
}
