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

    /// Tells all of them. To be called with no lock held. The first that wakes someone for it is told last the next time,
    /// so that groups that have someone waiting take turns.
    pub(crate) fn tell(&self) {
        let watchers = self.0.lock().clone();
        let mut first = None;
        for (watcher, member) in watchers {
            let wakes = watcher.upgrade().is_some_and(|watcher| watcher.changed(member));
            if wakes && first.is_none() {
                first = Some(watcher);
            }
        }
        if let Some(first) = first {
            // All that it watches, or one of many members would have more turns.
            self.0.lock().sort_by_key(|(watcher, _)| watcher.ptr_eq(&first));
        }
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").finish_non_exhaustive()
    }
}
