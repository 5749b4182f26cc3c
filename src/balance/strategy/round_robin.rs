use super::{Candidates, Choice, Strategy};

/// Each deployment in turn, as often as its weight says, its turns spread evenly.
///
/// The smooth weighted round robin of nginx: with weights 5, 1 and 1 the order is `a a b a c a a`, not five turns of `a`
/// in a row. A step for each candidate.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl Strategy for RoundRobin {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        candidates.show_scores("credit", |one| one.note() + one.weight());
        // Each candidate's note is its credit. All earn their weight; who has most is picked and pays for all.
        let (mut total, mut best) = (0.0, None);
        candidates.update_notes(|one| {
            let credit = one.note() + one.weight();
            total += one.weight();
            if best.is_none_or(|(_, most)| credit > most) {
                best = Some((one.choose(), credit));
            }
            credit
        });
        let (choice, credit) = best?;
        candidates.set_note(choice, credit - total);
        Some(choice)
    }
}
