use fastrand::Rng;

/// What has the lowest key of all that is offered, ties broken at random.
pub(super) struct Lowest<K, T> {
    best: Option<(K, T)>,
    ties: u32,
}

impl<K: PartialOrd, T> Lowest<K, T> {
    pub(super) const fn new() -> Self {
        Self { best: None, ties: 0 }
    }

    #[inline]
    pub(super) fn offer(&mut self, key: K, value: T, rng: &mut Rng) {
        match &self.best {
            Some((lowest, _)) if key > *lowest => return,
            Some((lowest, _)) if key >= *lowest => self.ties += 1,
            _ => self.ties = 1,
        }
        if self.ties == 1 || rng.u32(0..self.ties) == 0 {
            self.best = Some((key, value));
        }
    }

    #[inline]
    pub(super) fn get(self) -> Option<T> {
        self.best.map(|(_, value)| value)
    }
}
