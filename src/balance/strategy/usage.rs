use super::{Candidates, Choice, Strategy};

/// The deployment with the greatest share of its limits left; of several, the least busy.
///
/// What is left is its [headroom](crate::Deployment::headroom): the least of all its limits and quotas, tokens and
/// requests alike, what is reserved for requests on their way already taken off. So deployments with limits of
/// different sizes fill up together, and a burst can use them all to the last. One without a limit has all of it left,
/// always, and comes first.
///
/// LiteLLM's `usage-based-routing` and `usage-based-routing-v2`, which go by the tokens of the running minute whatever
/// the limits are.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowestUsage;

impl Strategy for LowestUsage {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        let now = candidates.now();
        // From 0 to 1, so that what is used is comparable whatever the limits are of.
        let used = |left: f32| 1.0 - f64::from(left);
        candidates.lowest_then_least_busy(|one| used(one.deployment().headroom_at(now)))
    }
}
