use super::{Candidates, Choice, Strategy};

/// Any deployment, at random, in proportion to the weights. LiteLLM calls it `simple-shuffle`.
///
/// Costs the same at any number of deployments. Weights far apart are [rounded](crate::Deployment::weight).
#[derive(Clone, Copy, Debug, Default)]
pub struct WeightedShuffle;

impl Strategy for WeightedShuffle {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        candidates.random()
    }
}
