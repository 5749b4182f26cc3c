use super::{Candidates, Choice, Strategy};

/// Of two deployments drawn at random, by their weights, the one with fewer requests in flight for its weight.
///
/// "The power of two choices" (Mitzenmacher 1996), which `tower`, Envoy and nginx have too. Costs the same at any number
/// of deployments. [`LeastBusy`](super::LeastBusy) costs as little and is exact; this one is for several instances of a
/// service over the same deployments, each of which sees only its own requests: exact choices made from the same old
/// picture fall on the same deployment, random pairs do not. Weights far apart are [rounded](crate::Deployment::weight).
#[derive(Clone, Copy, Debug, Default)]
pub struct PowerOfTwo;

impl Strategy for PowerOfTwo {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone is of one lifetime"
    )]
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        let one = candidates.random()?;
        let other =
            candidates.only(|candidate| candidate.choose() != one, |others| others.random());
        candidates.remark(|candidate| {
            let is_drawn = candidate.choose() == one || other == Some(candidate.choose());
            is_drawn.then_some("is drawn")
        });
        candidates.show_scores("load", |candidate| candidate.load());
        let load = |choice| candidates.get(choice).map(|candidate| candidate.load());
        other.filter(|other| load(*other) < load(one)).or(Some(one))
    }
}
