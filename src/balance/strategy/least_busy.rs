use super::{Candidates, Choice, Strategy};

/// The deployment with the fewest requests in flight for its weight: exact under any concurrency, ties broken at random.
///
/// A request is in flight from its pick to the end of its response body. Costs the same at any number of deployments
/// (a bucket queue). Weights far apart are [rounded](crate::Deployment::weight). LiteLLM calls it `least-busy`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastBusy;

impl Strategy for LeastBusy {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        candidates.least_busy()
    }
}
