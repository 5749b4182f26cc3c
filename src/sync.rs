//! The crate's one lock, so that its kind is chosen in one place.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mutex that a panic elsewhere does not poison: every critical section here leaves its data valid at each step.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
