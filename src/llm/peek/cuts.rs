use std::ops::Range;

use super::Edit;

/// What to cut of an object for some of its members to be gone, commas included.
///
/// Members that go are cut up to the next one that stays; where none follows, from the end of the last one that stays.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    found: Vec<Edit>,
    kept_to: Option<usize>,
    /// The members that go since the last one that stays.
    going: Option<Range<usize>>,
}

impl Cuts {
    /// The next member of the object, which stays or goes.
    pub(super) fn member(&mut self, at: Range<usize>, keep: bool) {
        if keep {
            if let Some(going) = self.going.take() {
                self.found.push(Edit::cut(going.start..at.start));
            }
            self.kept_to = Some(at.end);
        } else {
            self.going.get_or_insert(at.clone()).end = at.end;
        }
    }

    /// Also `cuts`, inside the latest member, if that stays.
    pub(super) fn inside(&mut self, cuts: Vec<Edit>) {
        if self.going.is_none() {
            self.found.extend(cuts);
        }
    }

    /// The cuts, in order.
    pub(super) fn finish(mut self) -> Vec<Edit> {
        if let Some(going) = self.going {
            let start = self.kept_to.unwrap_or(going.start);
            self.found.push(Edit::cut(start..going.end));
        }
        self.found
    }
}
