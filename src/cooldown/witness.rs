use std::{error::Error, sync::Arc};

use http::response::Parts;
use tokio::time::Instant;

use super::CooldownPolicy;
use crate::{
    body::{End, OnEnd},
    deployment::{Admission, Deployment, Probe},
    outcome::{Classify, Failure, FailureKind, Outcome},
    trail::{Answered, Late, Trail},
};

/// Reports how one request ended, exactly once: at its head, its error, the end of its body, or when it is dropped.
#[derive(Debug)]
pub struct Witness {
    case: Option<Case>,
}

#[derive(Debug)]
struct Case {
    policy: Arc<CooldownPolicy>,
    deployment: Deployment,
    admission: Admission,
    step: Option<(Trail, usize)>,
    /// A head has come that left the verdict open.
    answered: bool,
    /// What a layer below finds out of the body as it passes.
    late: Option<Late>,
    /// Given back after the report.
    _probe: Option<Probe>,
}

impl Witness {
    pub(super) fn new(
        policy: Arc<CooldownPolicy>,
        deployment: Deployment,
        admission: Admission,
        probe: Option<Probe>,
        step: Option<(Trail, usize)>,
    ) -> Self {
        Self {
            case: Some(Case {
                policy,
                deployment,
                admission,
                step,
                answered: false,
                late: None,
                _probe: probe,
            }),
        }
    }

    /// What the head decides, if it does; then nothing is left to report.
    pub(super) fn head(&mut self, head: &Parts) -> Option<Outcome> {
        let case = self.case.as_mut()?;
        case.answered = true;
        // What a layer below has found out of the body goes before what the head says.
        let answered = Answered::of(&head.extensions);
        let found = answered.and_then(|answered| answered.outcome);
        case.late = answered.and_then(|answered| answered.late.clone());
        let outcome = found.or_else(|| case.policy.classify.head(head))?;
        self.report(|_| outcome);
        Some(outcome)
    }

    pub(super) fn error(&mut self, error: &(dyn Error + 'static)) {
        self.report(|classify| classify.error(error));
    }

    fn report(&mut self, outcome: impl FnOnce(&dyn Classify) -> Outcome) {
        let Some(case) = self.case.take() else { return };
        let outcome = outcome(&*case.policy.classify);
        if let Some((trail, index)) = &case.step {
            trail.judged(*index, outcome);
        }
        let (health, now) = (case.deployment.health(), Instant::now());
        let cancelled = |failure: Failure| failure.kind() == FailureKind::Cancelled;
        if case.answered && outcome.failure().is_some_and(cancelled) {
            health.left(&*case.policy, case.admission, now);
        } else {
            let aside = health.report(&*case.policy, case.admission, &outcome, now);
            if let Some(aside) = aside {
                case.deployment.cool_account(aside, now);
            }
        }
    }
}

impl OnEnd for Witness {
    fn on_end(mut self, end: &End<'_>) {
        let late = self.case.as_ref().and_then(|case| case.late.as_ref()?.get());
        self.report(|classify| late.map_or_else(|| classify.end(end), Into::into));
    }
}

impl Drop for Witness {
    /// The caller went away before the head.
    fn drop(&mut self) {
        self.report(Classify::cancelled);
    }
}
