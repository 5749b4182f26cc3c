use super::Usage;

/// What the tokens of a deployment cost, each in US dollars for one token.
///
/// Only tokens are priced, and all input tokens alike whatever they stand for: what providers charge for images, audio,
/// seconds, searches or service tiers is not in it, so an answer that has such things is priced by its tokens alone.
///
/// A rate below 0, or that is no number, counts as 0.
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
    /// Other prices for requests with long inputs, in any order.
    pub tiers: Vec<PriceTier>,
}

/// What all tokens of a request cost, those of the output too, once its input is long; a rate that is unset is that of
/// the next lower tier, and at last that of the [`Price`]. LiteLLM's `input_cost_per_token_above_200k_tokens` and its
/// like.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PriceTier {
    /// It holds where the input has more tokens than this.
    pub above: u64,
    /// Instead of [`Price::input`].
    pub input: Option<f64>,
    /// Instead of [`Price::output`].
    pub output: Option<f64>,
    /// Instead of [`Price::cached`].
    pub cached: Option<f64>,
    /// Instead of [`Price::cache_written`].
    pub cache_written: Option<f64>,
    /// Instead of [`Price::reasoning`].
    pub reasoning: Option<f64>,
}

impl PriceTier {
    /// The tier of requests with more than `above` tokens of input, as yet with no rate of its own.
    #[must_use]
    pub const fn above(above: u64) -> Self {
        Self {
            above,
            input: None,
            output: None,
            cached: None,
            cache_written: None,
            reasoning: None,
        }
    }
}

impl Price {
    /// A price for input and output, in US dollars for one token; 0 is a price.
    #[must_use]
    pub const fn new(input: f64, output: f64) -> Self {
        let tiers = Vec::new();
        Self { input, output, cached: None, cache_written: None, reasoning: None, tiers }
    }

    /// What `usage` costs, in US dollars.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no answer has 2^53 tokens")]
    pub fn cost(&self, usage: &Usage) -> f64 {
        let input = self.rate(usage, |tier| tier.input).unwrap_or(self.input);
        let output = self.rate(usage, |tier| tier.output).unwrap_or(self.output);
        let cached = self.rate(usage, |tier| tier.cached).or(self.cached);
        let cache_written = self.rate(usage, |tier| tier.cache_written).or(self.cache_written);
        let reasoning = self.rate(usage, |tier| tier.reasoning).or(self.reasoning);

        let plain_input =
            usage.input.saturating_sub(usage.cached).saturating_sub(usage.cache_written);
        let plain_output = usage.output.saturating_sub(usage.reasoning);
        let each = [
            (plain_input, input),
            (usage.cached, cached.unwrap_or(input)),
            (usage.cache_written, cache_written.unwrap_or(input)),
            (plain_output, output),
            (usage.reasoning, reasoning.unwrap_or(output)),
        ];
        // None of an endless rate costs nothing; and `max` is never what is no number.
        let taken = each.into_iter().filter(|(tokens, _)| *tokens > 0);
        taken.map(|(tokens, rate)| tokens as f64 * rate.max(0.0)).sum()
    }

    /// The rate of the highest tier that holds for `usage` and has one.
    fn rate(&self, usage: &Usage, of: impl Fn(&PriceTier) -> Option<f64>) -> Option<f64> {
        let holds = self.tiers.iter().filter(|tier| usage.input > tier.above);
        let rates = holds.filter_map(|tier| of(tier).map(|rate| (tier.above, rate)));
        rates.max_by_key(|(above, _)| *above).map(|(_, rate)| rate)
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the numbers are whole")]
mod tests {
    use super::{Price, PriceTier};
    use crate::deployment::Usage;

    const USAGE: Usage = Usage {
        input: 100,
        cached: 10,
        cache_written: 20,
        output: 50,
        reasoning: 30,
        estimated: false,
    };

    #[test]
    fn each_kind_of_token_has_its_rate_or_that_of_its_side() {
        let mut price = Price::new(2.0, 10.0);
        assert_eq!(price.cost(&USAGE), 100.0 * 2.0 + 50.0 * 10.0);
        price.cached = Some(1.0);
        price.cache_written = Some(3.0);
        price.reasoning = Some(5.0);
        let expected = 70.0 * 2.0 + 10.0 * 1.0 + 20.0 * 3.0 + 20.0 * 10.0 + 30.0 * 5.0;
        assert_eq!(price.cost(&USAGE), expected);
        price.cached = Some(0.0);
        assert_eq!(price.cost(&USAGE), expected - 10.0, "0 is a price");
        assert_eq!(Price::new(0.0, 0.0).cost(&USAGE), 0.0);
    }

    #[test]
    fn parts_larger_than_the_whole_are_no_credit() {
        let usage = Usage { input: 5, cached: 10, output: 1, reasoning: 2, ..Usage::default() };
        assert_eq!(Price::new(1.0, 1.0).cost(&usage), 12.0);
    }

    #[test]
    fn a_rate_that_makes_no_sense_is_nothing_rather_than_a_credit() {
        for rate in [-1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(Price::new(rate, 10.0).cost(&USAGE), 500.0, "{rate}");
            let cached = Some(rate);
            assert_eq!(Price { cached, ..Price::new(1.0, 0.0) }.cost(&USAGE), 90.0, "{rate}");
        }
        let none = Usage { output: 0, reasoning: 0, ..USAGE };
        assert_eq!(Price::new(1.0, f64::INFINITY).cost(&none), 100.0);
    }

    #[test]
    fn a_long_input_changes_the_price_of_every_token() {
        let mut price = Price::new(1.0, 10.0);
        price.cached = Some(0.5);
        let long = PriceTier { input: Some(2.0), output: Some(15.0), ..PriceTier::above(99) };
        let longer = PriceTier { input: Some(4.0), ..PriceTier::above(1_000) };
        price.tiers = vec![longer, long];
        let cost = |input| price.cost(&Usage { input, output: 10, ..Usage::default() });
        assert_eq!(cost(99), 99.0 + 100.0, "at the limit, not above it");
        assert_eq!(cost(100), 200.0 + 150.0);
        assert_eq!(cost(1_001), 4_004.0 + 150.0, "an unset rate is that of the tier below");
        let cached = Usage { input: 100, cached: 100, ..Usage::default() };
        assert_eq!(price.cost(&cached), 50.0, "or of the price itself");
        price.cached = None;
        assert_eq!(price.cost(&cached), 200.0, "and without any, that of the input in this tier");
    }
}
