use super::{Candidates, Choice, Strategy};

/// The deployment with the greatest share of its limits left; of several with as much, to within a twentieth of their
/// limits, the least busy.
///
/// What is left is its [headroom](crate::Deployment::headroom): the least of all its limits and quotas, tokens and
/// requests alike, what is reserved for requests on their way already taken off. So deployments with limits of
/// different sizes fill up together, and a burst can use them all to the last. One without a limit has all of it left,
/// always, and comes first. As long as all are within that step a slow deployment is spared, as by
/// [`LeastBusy`](super::LeastBusy).
///
/// LiteLLM's `usage-based-routing` and `usage-based-routing-v2`, which go by the tokens of the running minute whatever
/// the limits are.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowestUsage;

/// The difference, of 1, that is none: what a fast deployment is ahead of a slow one by is not to send the slow one more
/// than it can take.
const STEP: f64 = 0.05;

impl Strategy for LowestUsage {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        let now = candidates.now();
        // From 0 to 1, so that what is used is comparable whatever the limits are of.
        let used = |left: f32| 1.0 - f64::from(left);
        candidates
            .least_busy_within(|one| used(one.deployment().headroom_at(now)), |least| least + STEP)
    }
}
