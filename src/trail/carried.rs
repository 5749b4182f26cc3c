use std::sync::{Arc, OnceLock};

use http::{Extensions, response::Parts};
use tokio::time::Instant;

use super::{
    Attempt, Captured, Demand, Fallbacks, GroupName, Overrides, SavedHead, Served, Shared, Trail,
};
use crate::{
    Error,
    deployment::Pinned,
    outcome::{Classify, Failure, Kinds, Outcome},
    sync::Lock,
};

/// Everything this crate attaches to a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    pub(crate) group: Option<GroupName>,
    pub(crate) demand: Option<Arc<Demand>>,
    pub(crate) trail: Option<Trail>,
    pub(crate) attempt: Option<Attempt>,
    /// By what this attempt is pinned, where its strategy remembers.
    pub(crate) pinned: Option<Pinned>,
    pub(crate) fallbacks: Option<Fallbacks>,
    pub(crate) captured: Option<Captured>,
    /// What the body asks for, and where in it.
    #[cfg(feature = "llm")]
    pub(crate) inspected: Option<Arc<crate::llm::Inspected>>,
    /// This attempt is to ask for the usage of its stream: the layer that says so hides it again.
    #[cfg(feature = "llm")]
    pub(crate) adds_usage: bool,
    /// The head as the nearest fallback above has copied it.
    pub(crate) saved: Option<SavedHead>,
    /// What the request asks of layers in place of what their policies say.
    pub(crate) overrides: Option<Arc<Overrides>>,
    pub(crate) elsewhere: Elsewhere,
    /// When a time limit above ends the attempt; what is there by then is taken first.
    pub(crate) until: Option<Instant>,
}

/// Where a layer above can still send a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// The failures on which it goes somewhere else.
    pub(crate) on: Kinds,
    /// Those among them that have a list of groups to themselves.
    pub(crate) listed: Kinds,
}

impl Elsewhere {
    /// Whatever the failure is.
    pub(crate) const ALWAYS: Self = Self { on: Kinds::ALL, listed: Kinds::ALL };
}

impl std::ops::BitOrAssign for Elsewhere {
    fn bitor_assign(&mut self, more: Self) {
        self.on |= more.on;
        self.listed |= more.listed;
    }
}

impl Carried {
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    pub(crate) fn entry(extensions: &mut Extensions) -> &mut Self {
        extensions.get_or_insert_default()
    }

    /// The trail, begun `now` where there is none.
    pub(crate) fn begin_trail(&mut self, now: Instant) -> Trail {
        let new = || {
            Trail(Arc::new(Shared {
                started: now,
                state: Lock::default(),
                explanations: OnceLock::new(),
            }))
        };
        self.trail.get_or_insert_with(new).clone()
    }
}

/// Everything this crate attaches to a response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered {
    pub(crate) outcome: Option<Outcome>,
    pub(crate) served: Option<Served>,
    pub(crate) late: Option<Late>,
}

/// A failure that shows only while the body passes, too late to send the request elsewhere: put there by the layer that
/// reads the body, and read at its end by the one that judges.
#[derive(Clone, Debug, Default)]
pub(crate) struct Late(Arc<OnceLock<Failure>>);

impl Late {
    /// Says that the answer has failed so; the first time counts.
    #[cfg_attr(not(feature = "llm"), expect(dead_code, reason = "only answers of models are read"))]
    pub(crate) fn set(&self, failure: Failure) {
        let _ = self.0.set(failure);
    }

    pub(crate) fn get(&self) -> Option<Failure> {
        self.0.get().copied()
    }
}

impl Answered {
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    pub(crate) fn entry(extensions: &mut Extensions) -> &mut Self {
        extensions.get_or_insert_default()
    }
}

/// How an attempt ended: as a layer below has judged it, or else as `classify` does.
pub(crate) fn outcome_of<R>(
    classify: &dyn Classify,
    result: &Result<(Parts, R), Error>,
) -> Outcome {
    match result {
        Ok((head, _)) => {
            let judged = Answered::of(&head.extensions).and_then(|answered| answered.outcome);
            judged.or_else(|| classify.head(head)).unwrap_or(Outcome::Success)
        }
        Err(error) => classify.error(error),
    }
}
