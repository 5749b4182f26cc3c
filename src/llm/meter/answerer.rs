use std::{fmt, str};

use crate::{Deployment, deployment::Pins};

/// Enters who gives an answer, by the id of that, once: for requests that go on from it.
#[derive(Default)]
pub(super) struct Answerer(Option<(Pins, Deployment)>);

impl Answerer {
    pub(super) const fn new(pins: Pins, deployment: Deployment) -> Self {
        Self(Some((pins, deployment)))
    }

    /// Whether the id is wanted, and has not come yet.
    pub(super) const fn is_waiting(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn gives(&mut self, id: &[u8]) {
        // An id with escapes in it is none that a server makes up.
        if let (Some((pins, deployment)), Ok(id)) = (self.0.take(), str::from_utf8(id)) {
            pins.answer(id, &deployment);
        }
    }
}

impl fmt::Debug for Answerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answerer").field("is_waiting", &self.is_waiting()).finish()
    }
}
