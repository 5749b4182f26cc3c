//! What travels with a request between layers that know nothing of each other.
//!
//! Down with the request go its [`GroupName`], its [`Demand`] and [`Overrides`], the [`Trail`] of its attempts and, below
//! a balance, the [`Attempt`] being made. Up with the response come its [`Outcome`] and [`Served`]. All of it lives in one
//! private entry of [`http::Extensions`], because each entry costs an allocation.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    body::NotReplayable,
    deployment::{Admission, Deployment, Usage},
    outcome::Outcome,
    quota::Hold,
    sync::Lock,
};

mod captured;
mod carried;
mod demand;
mod explained;
mod fallbacks;
mod group_name;
mod names;
mod overrides;
mod pattern;
mod saved;
mod steps;
mod tried;

pub use self::captured::Captured;
pub(crate) use self::carried::{Answered, Carried, Elsewhere, Late, outcome_of};
pub use self::demand::Demand;
pub use self::explained::{Considered, Explanation, Removed};
pub use self::fallbacks::Fallbacks;
pub use self::group_name::GroupName;
pub(crate) use self::names::Names;
pub use self::overrides::Overrides;
pub(crate) use self::pattern::Pattern;
pub(crate) use self::saved::{Saved, SavedHead};
use self::steps::Steps;
pub use self::steps::{Spent, Step};
pub(crate) use self::tried::Tried;

/// The attempt a request is on: put there by a balance, read by the layers below it.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub(crate) deployment: Deployment,
    pub(crate) index: usize,
    pub(crate) started: Instant,
    pub(crate) admission: Admission,
    /// What the request holds of the deployment's quotas, for whoever learns what it used.
    pub(crate) hold: Option<Arc<Hold>>,
}

impl Attempt {
    /// The attempt `request` is on, below a balance.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Option<&Self> {
        Carried::of(request.extensions())?.attempt.as_ref()
    }

    /// The deployment the request is sent to.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// How many attempts of this request came before; 0 where nothing above keeps a [`Trail`].
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// When the deployment was picked.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Makes what the attempt takes of the deployment's [limits and quotas](crate::quota) what it really used, and what
    /// that cost in US dollars, where that is known. The first time counts. A layer that reads answers calls it, as
    /// `llm::Meter` does; without, what was expected stays.
    pub fn settle(&self, usage: &Usage, cost: Option<f64>) {
        if let Some(hold) = &self.hold {
            hold.settle(usage, cost);
        }
    }
}

/// Who answered a request: put on the response by a balance.
#[derive(Clone, Debug)]
pub struct Served {
    pub(crate) deployment: Deployment,
    pub(crate) trail: Option<Trail>,
}

impl Served {
    /// Who answered with `response`, above a balance.
    #[must_use]
    pub fn of<B>(response: &http::Response<B>) -> Option<&Self> {
        Answered::of(response.extensions())?.served.as_ref()
    }

    /// The deployment that answered.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The attempts of the request, where a layer kept a trail of them.
    #[must_use]
    pub fn trail(&self) -> Option<&Trail> {
        self.trail.as_ref()
    }
}

/// The attempts of one request so far, and its deadline.
///
/// A cheap handle: clones are the same trail. [`Retry`](crate::retry::Retry) and
/// [`Fallback`](crate::fallback::Fallback) start one where there is none, a balance adds to it. Start one yourself to
/// read it whatever becomes of the request:
///
/// ```
/// use tower_fleet::Trail;
///
/// let mut request = http::Request::new(());
/// let trail = Trail::start(&mut request);
/// assert!(trail.attempts().is_empty());
/// ```
#[derive(Clone)]
pub struct Trail(Arc<Shared>);

struct Shared {
    started: Instant,
    state: Lock<State>,
    /// There where the picks are to be explained. Boxed, because few are.
    explanations: OnceLock<Box<Lock<Vec<Arc<Explanation>>>>>,
}

#[derive(Default)]
struct State {
    deadline: Option<Instant>,
    /// For the place of the next step.
    waited: Option<Duration>,
    steps: Steps,
    groups: Vec<GroupName>,
    not_replayed: Option<NotReplayable>,
}

impl Trail {
    /// The trail of `request`, begun now where it has none.
    pub fn start<B>(request: &mut http::Request<B>) -> Self {
        Carried::entry(request.extensions_mut()).begin_trail(Instant::now())
    }

    /// The trail of `request`, where it has one.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Option<&Self> {
        Carried::of(request.extensions())?.trail.as_ref()
    }

    /// The trail of `request`, begun now where it has none, which every balance from here on tells why it picks as it
    /// does: see [`explanations`](Self::explanations).
    ///
    /// Costs a step for each deployment at each pick, so it is for the request somebody wonders about. Keep the trail
    /// that is returned: a request that is refused leaves nothing else.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use http::{Request, Response};
    /// use tower::{ServiceExt, service_fn};
    /// use tower_fleet::{Deployment, Trail, balance::{Balance, LeastBusy}, trail::Removed};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_fleet::Error> {
    /// let client = service_fn(|_: Request<String>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    /// let (eu, us) = (Deployment::new("eu"), Deployment::new("us"));
    /// eu.health().pause();
    /// let pool = Balance::new(LeastBusy, [(eu, client), (us, client)]);
    ///
    /// let mut request = Request::new(String::new());
    /// let trail = Trail::explain(&mut request);
    /// pool.oneshot(request).await?;
    ///
    /// let explanations = trail.explanations();
    /// println!("{}", explanations[0]);
    /// assert_eq!(explanations[0].considered()[0].removed(), Some(Removed::Paused));
    /// # Ok(())
    /// # }
    /// ```
    pub fn explain<B>(request: &mut http::Request<B>) -> Self {
        let trail = Self::start(request);
        trail.0.explanations.get_or_init(Box::default);
        trail
    }

    /// What each pick saw, in order; empty unless the request was to be [explained](Self::explain). There is one for each
    /// refusal too, and for a pick whose service was not ready, so there may be more than [attempts](Self::attempts).
    #[must_use]
    pub fn explanations(&self) -> Vec<Arc<Explanation>> {
        self.0.explanations.get().map(|all| all.lock().clone()).unwrap_or_default()
    }

    pub(crate) fn explains(&self) -> bool {
        self.0.explanations.get().is_some()
    }

    pub(crate) fn push_explanation(&self, explanation: Explanation) {
        if let Some(all) = self.0.explanations.get() {
            all.lock().push(Arc::new(explanation));
        }
    }

    /// When the request began.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The attempts so far, in order.
    #[must_use]
    pub fn attempts(&self) -> Vec<Step> {
        self.0.state.lock().steps.iter().cloned().collect()
    }

    /// How many attempts there were so far.
    #[must_use]
    pub fn attempt_count(&self) -> usize {
        self.0.state.lock().steps.len()
    }

    /// The groups the request was sent to by a fallback, in order; empty where none was needed.
    #[must_use]
    pub fn fallbacks(&self) -> Vec<GroupName> {
        self.0.state.lock().groups.clone()
    }

    /// When the request as a whole must be answered; none by default.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.state.lock().deadline
    }

    /// Brings the deadline forward to `at`; a later one than is set changes nothing.
    pub fn limit(&self, at: Instant) {
        let mut state = self.0.state.lock();
        state.deadline = Some(state.deadline.map_or(at, |set| set.min(at)));
    }

    /// Why the request could not be sent again although it would have been, where that was so.
    #[must_use]
    pub fn not_replayed(&self) -> Option<NotReplayable> {
        self.0.state.lock().not_replayed
    }

    pub(crate) fn set_not_replayed(&self, reason: NotReplayable) {
        self.0.state.lock().not_replayed = Some(reason);
    }

    pub(crate) fn push_group(&self, group: GroupName) {
        self.0.state.lock().groups.push(group);
    }

    /// Takes back the latest entry of a group that there turned out not to be.
    pub(crate) fn forget_group(&self, name: &GroupName) {
        let mut state = self.0.state.lock();
        if let Some(index) = state.groups.iter().rposition(|group| group == name) {
            state.groups.remove(index);
        }
    }

    /// Adds an attempt and returns its index.
    pub(crate) fn push(
        &self,
        deployment: Option<Deployment>,
        group: Option<GroupName>,
        started: Instant,
        spare: bool,
    ) -> usize {
        let mut state = self.0.state.lock();
        let waited = state.waited.take();
        let (took, outcome, spent) = (None, None, None);
        state.steps.push(Step { deployment, group, started, waited, took, outcome, spent, spare })
    }

    /// Says how long was waited for the place of the next attempt.
    pub(crate) fn waited(&self, waited: Duration) {
        self.0.state.lock().waited = Some(waited);
    }

    /// Says how long the head, or the error, of the attempt at `index` took.
    pub(crate) fn answered(&self, index: usize, took: Duration) {
        if let Some(step) = self.0.state.lock().steps.get_mut(index) {
            step.took = Some(took);
        }
    }

    /// Says how the attempt at `index` ended.
    pub(crate) fn judged(&self, index: usize, outcome: Outcome) {
        if let Some(step) = self.0.state.lock().steps.get_mut(index) {
            step.outcome = Some(outcome);
        }
    }

    /// Says what the answer of the attempt at `index` took.
    #[cfg_attr(
        not(feature = "llm"),
        expect(dead_code, reason = "only answers of models are counted")
    )]
    pub(crate) fn spent(&self, index: usize, spent: Spent) {
        if let Some(step) = self.0.state.lock().steps.get_mut(index) {
            step.spent = Some(spent);
        }
    }

    /// Says how the latest attempt ended; false if there was none after the first `before`.
    pub(crate) fn judged_since(&self, before: usize, outcome: Outcome) -> bool {
        let mut state = self.0.state.lock();
        let latest = state.steps.len().checked_sub(1).filter(|latest| *latest >= before);
        let step = latest.and_then(|latest| state.steps.get_mut(latest));
        step.map(|step| step.outcome = Some(outcome)).is_some()
    }

    /// Whether a balance has another deployment to try after the steps from `index` on. Balances one below the other
    /// each add a step.
    pub(crate) fn has_spare_since(&self, index: usize) -> bool {
        let state = self.0.state.lock();
        state.steps.iter().skip(index).any(|step| step.spare)
    }

    /// How many retries the deployment of the latest of the steps from `index` on says a request may have.
    pub(crate) fn retries_since(&self, index: usize) -> Option<u32> {
        let state = self.0.state.lock();
        let steps = state.steps.iter().skip(index);
        steps.filter_map(|step| step.deployment.as_ref()?.get_retries()).last()
    }

    /// The deployments tried so far, for a pick to pass over.
    pub(crate) fn tried(&self) -> Tried {
        let state = self.0.state.lock();
        let mut tried = Tried::default();
        for deployment in state.steps.iter().filter_map(|step| step.deployment.as_ref()) {
            tried.add(deployment);
        }
        tried
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        f.debug_struct("Trail")
            .field("attempts", &state.steps.iter().collect::<Vec<_>>())
            .field("fallbacks", &state.groups)
            .field("deadline", &state.deadline)
            .finish_non_exhaustive()
    }
}
