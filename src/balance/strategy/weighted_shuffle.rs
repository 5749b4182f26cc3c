use super::{Candidates, Choice, Strategy};

/// Any deployment, at random, in proportion to the weights. LiteLLM calls it `simple-shuffle`.
///
/// Costs the same at any number of deployments. Weights further apart than 128 to 1 are rounded to that.
#[derive(Clone, Copy, Debug, Default)]
pub struct WeightedShuffle;

impl Strategy for WeightedShuffle {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        candidates.random()
    }
}
