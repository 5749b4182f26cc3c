use super::Step;

/// The steps of a trail, the first one inline: most requests need no other.
#[derive(Default)]
pub(super) struct Steps {
    first: Option<Step>,
    more: Vec<Step>,
}

impl Steps {
    /// Adds a step and returns its index.
    pub(super) fn push(&mut self, step: Step) -> usize {
        let index = self.len();
        if index == 0 {
            self.first = Some(step);
        } else {
            self.more.push(step);
        }
        index
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Step> {
        self.first.iter().chain(&self.more)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Step> {
        match index.checked_sub(1) {
            None => self.first.as_mut(),
            Some(index) => self.more.get_mut(index),
        }
    }
}
