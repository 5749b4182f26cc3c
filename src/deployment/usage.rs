/// The tokens of an answer, or of many together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the input, those from a cache and those written to one included.
    pub input: u64,
    /// Tokens of the input that came from the provider's cache.
    pub cached: u64,
    /// Tokens of the input that were written to the provider's cache.
    pub cache_written: u64,
    /// Tokens of the output, those of its reasoning included.
    pub output: u64,
    /// Tokens of the output that were reasoning.
    pub reasoning: u64,
    /// Some of it was counted here, as the answer ended before the provider told.
    pub estimated: bool,
}

/// What the answers of a deployment have taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UsageTotals {
    /// The tokens.
    pub usage: Usage,
    /// What they cost, in US dollars, as far as prices were known.
    pub cost: f64,
    /// Answers whose tokens are known.
    pub answers: u64,
    /// Answers whose price was not known: the cost is without them.
    pub unpriced: u64,
}

impl UsageTotals {
    /// The tokens of an answer's output, on average; 0 before the first.
    #[expect(clippy::cast_precision_loss, reason = "a mean needs no more")]
    pub(crate) fn mean_output(&self) -> f32 {
        self.usage.output as f32 / self.answers.max(1) as f32
    }

    pub(crate) fn add(&mut self, usage: &Usage, cost: Option<f64>) {
        let all = &mut self.usage;
        all.input = all.input.saturating_add(usage.input);
        all.cached = all.cached.saturating_add(usage.cached);
        all.cache_written = all.cache_written.saturating_add(usage.cache_written);
        all.output = all.output.saturating_add(usage.output);
        all.reasoning = all.reasoning.saturating_add(usage.reasoning);
        all.estimated |= usage.estimated;
        self.answers += 1;
        match cost {
            Some(cost) => self.cost += cost,
            None => self.unpriced += 1,
        }
    }
}
