use super::{Candidates, Choice, Strategy};

/// The deployment with the least used share of its limits; of several, the least busy. LiteLLM calls it
/// `usage-based-routing` and `usage-based-routing-v2`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowestUsage;

impl Strategy for LowestUsage {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        candidates.least_busy()
    }
}
