use super::Usage;

/// What the tokens of a deployment cost, each in US dollars for one token.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Price {
    /// A token of the input. LiteLLM's `input_cost_per_token`.
    pub input: f64,
    /// A token of the output. LiteLLM's `output_cost_per_token`.
    pub output: f64,
    /// A token of the input that came from a cache; as [`input`](Self::input) where unset. LiteLLM's
    /// `cache_read_input_token_cost`.
    pub cached: Option<f64>,
    /// A token of the input that was written to a cache; as [`input`](Self::input) where unset. LiteLLM's
    /// `cache_creation_input_token_cost`.
    pub cache_written: Option<f64>,
    /// A token of reasoning; as [`output`](Self::output) where unset. LiteLLM's `output_cost_per_reasoning_token`.
    pub reasoning: Option<f64>,
}

impl Price {
    /// A price for input and output, in US dollars for one token; 0 is a price.
    #[must_use]
    pub const fn new(input: f64, output: f64) -> Self {
        Self { input, output, cached: None, cache_written: None, reasoning: None }
    }

    /// What `usage` costs, in US dollars.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no answer has 2^53 tokens")]
    pub fn cost(&self, usage: &Usage) -> f64 {
        let plain_input =
            usage.input.saturating_sub(usage.cached).saturating_sub(usage.cache_written);
        let plain_output = usage.output.saturating_sub(usage.reasoning);
        plain_input as f64 * self.input
            + usage.cached as f64 * self.cached.unwrap_or(self.input)
            + usage.cache_written as f64 * self.cache_written.unwrap_or(self.input)
            + plain_output as f64 * self.output
            + usage.reasoning as f64 * self.reasoning.unwrap_or(self.output)
    }
}
