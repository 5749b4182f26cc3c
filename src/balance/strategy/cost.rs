use super::{Candidate, Candidates, Choice, Strategy};
use crate::{
    deployment::{Price, TYPICAL_OUTPUT, Usage},
    trail::Demand,
};

/// The deployment on which this request is expected to cost least; of several, the least busy.
///
/// What it costs is by the [price](crate::Deployment::price) of the deployment, its tiers included, the
/// [input](Demand::input_tokens) of the request, and the output its group's answers have had on average so far (256
/// tokens before there were any), or the [most it may have](Demand::output_tokens), whichever is less. So it depends on
/// the request: cheap input wins for long prompts, cheap output for long answers. Where the input is not known, as much
/// is expected as of output.
///
/// A price of 0 is the cheapest. A deployment without a price comes after all that have one. LiteLLM calls it
/// `cost-based-routing`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LowestCost;

impl Strategy for LowestCost {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        let expected = expected(candidates);
        let cost = |price: &Price| price.cost(&expected);
        candidates.name_scores("dollars");
        candidates.remark(|one| one.deployment().get_price().is_none().then_some("has no price"));
        // Infinity is more than any price, and its own equal.
        candidates
            .lowest_then_least_busy(|one| one.deployment().get_price().map_or(f64::INFINITY, cost))
    }
}

/// One number of tokens for all candidates, so that equal prices are a tie.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tokens are not negative"
)]
fn expected(candidates: &Candidates<'_>) -> Usage {
    let demand = candidates.demand();
    // Of a few: the answers are to the same requests.
    let few = candidates.iter().take(8);
    let means = few.filter_map(|one: Candidate<'_>| one.deployment().mean_output());
    let (sum, count) = means.fold((0.0, 0.0), |(sum, count), mean| (sum + mean, count + 1.0));
    let mean = if count > 0.0 { sum / count } else { TYPICAL_OUTPUT.into() };
    let most = demand.and_then(|demand: &Demand| demand.output_tokens).unwrap_or(u64::MAX);
    let output = (mean.round() as u64).min(most);
    let input = demand.and_then(|demand| demand.input_tokens).unwrap_or(output);
    Usage { input, output, ..Usage::default() }
}
