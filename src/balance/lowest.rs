use fastrand::Rng;

/// What has the lowest key of all that is offered, ties broken at random.
pub(super) struct Lowest<K, T> {
    best: Option<(K, T)>,
    draw: TieDraw,
}

impl<K: PartialOrd, T> Lowest<K, T> {
    pub(super) const fn new() -> Self {
        Self { best: None, draw: TieDraw::new() }
    }

    #[inline]
    pub(super) fn offer(&mut self, key: K, value: T, rng: &mut Rng) {
        let is_drawn = match &self.best {
            Some((lowest, _)) if key > *lowest => false,
            Some((lowest, _)) if key >= *lowest => self.draw.takes_next(rng),
            _ => {
                self.draw = TieDraw::new();
                true
            }
        };
        if is_drawn {
            self.best = Some((key, value));
        }
    }

    /// It, and its key.
    #[inline]
    pub(super) fn get(self) -> Option<(K, T)> {
        self.best
    }
}

/// Draws one of equals as they come, each as likely: of `n` the latest with a chance of `1 / n`. Which one that is next is
/// drawn ahead, so that a thousand cost a few draws (Li's algorithm L for a sample of one).
struct TieDraw {
    seen: u32,
    /// Which one is taken next; 0 before that is drawn.
    next: u32,
}

impl TieDraw {
    /// The first has come, and is taken.
    const fn new() -> Self {
        Self { seen: 1, next: 0 }
    }

    #[inline]
    fn takes_next(&mut self, rng: &mut Rng) -> bool {
        if self.next == 0 {
            self.draw(rng);
        }
        self.seen += 1;
        let is_taken = self.seen == self.next;
        if is_taken {
            self.draw(rng);
        }
        is_taken
    }

    /// It is after the `n`th with a chance of `seen / n`.
    #[allow(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "none is negative, and what is too large is the most there is"
    )]
    fn draw(&mut self, rng: &mut Rng) {
        // From above 0 to 1.
        let next = (f64::from(self.seen) / (1.0 - rng.f64())) as u32;
        self.next = next.saturating_add(1);
    }
}
