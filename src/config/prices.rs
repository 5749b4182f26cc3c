//! What a deployment says of its prices.

use super::read::Section;
use crate::deployment::Price;

/// Prices as a deployment gives them, in US dollars for one token. 0 is a price, unset is unknown.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Prices {
    /// `input_cost_per_token`.
    pub input: Option<f64>,
    /// `output_cost_per_token`.
    pub output: Option<f64>,
    /// `cache_read_input_token_cost`.
    pub cached: Option<f64>,
    /// `cache_creation_input_token_cost`.
    pub cache_written: Option<f64>,
    /// `output_cost_per_reasoning_token`.
    pub reasoning: Option<f64>,
}

impl Prices {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let mut price = |key| {
            let field = section.take(key)?;
            field.number("a number of US dollars of at least 0", |price| price >= 0.0)
        };
        Self {
            input: price("input_cost_per_token"),
            output: price("output_cost_per_token"),
            cached: price("cache_read_input_token_cost"),
            cache_written: price("cache_creation_input_token_cost"),
            reasoning: price("output_cost_per_reasoning_token"),
        }
    }

    /// These, and those of `others` where one is unset.
    pub(super) fn or(self, others: &Self) -> Self {
        Self {
            input: self.input.or(others.input),
            output: self.output.or(others.output),
            cached: self.cached.or(others.cached),
            cache_written: self.cache_written.or(others.cache_written),
            reasoning: self.reasoning.or(others.reasoning),
        }
    }

    /// The price of a deployment of whose model a price list says `listed`. One that gives its own
    /// price for a token of input has none of the list's for input, cached or not, and so for output
    /// and reasoning; one that gives any has none of its tiers. Unknown unless one of them gives a price for input or output; if only one is
    /// given, as for embeddings, the other is 0.
    pub(super) fn over(&self, listed: Option<&Price>) -> Option<Price> {
        let of_list = |own: Option<f64>| if own.is_none() { listed } else { None };
        let (for_input, for_output) = (of_list(self.input), of_list(self.output));
        if self.input.or(self.output).is_none() && listed.is_none() {
            return None;
        }
        let mut price = Price::new(
            self.input.or(for_input.map(|list| list.input)).unwrap_or_default(),
            self.output.or(for_output.map(|list| list.output)).unwrap_or_default(),
        );
        price.cached = self.cached.or(for_input.and_then(|list| list.cached));
        price.cache_written = self.cache_written.or(for_input.and_then(|list| list.cache_written));
        price.reasoning = self.reasoning.or(for_output.and_then(|list| list.reasoning));
        // A tier is for input and output together, with what is cached of them.
        if *self == Self::default() {
            price.tiers = listed.map(|list| list.tiers.clone()).unwrap_or_default();
        }
        Some(price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::PriceTier;

    fn list() -> Price {
        let mut list = Price::new(1.0, 2.0);
        (list.cached, list.cache_written, list.reasoning) = (Some(3.0), Some(4.0), Some(5.0));
        list.tiers = vec![PriceTier::above(100)];
        list
    }

    fn shown(price: Option<Price>) -> Option<[f64; 5]> {
        let price = price.filter(|price| price.tiers.is_empty())?;
        let or_absent = |price: Option<f64>| price.unwrap_or(-1.0);
        let rest = [price.cached, price.cache_written, price.reasoning].map(or_absent);
        Some([price.input, price.output, rest[0], rest[1], rest[2]])
    }

    #[test]
    fn a_price_of_ones_own_has_nothing_of_the_lists_beside_it() {
        let own = Prices { input: Some(0.0), ..Prices::default() };
        assert_eq!(shown(own.over(Some(&list()))), Some([0.0, 2.0, -1.0, -1.0, 5.0]));
        let own = Prices { output: Some(9.0), cached: Some(8.0), ..Prices::default() };
        assert_eq!(shown(own.over(Some(&list()))), Some([1.0, 9.0, 8.0, 4.0, -1.0]));
    }

    #[test]
    fn unknown_is_unknown() {
        assert_eq!(Prices::default().over(None), None);
        assert_eq!(Prices { cached: Some(1.0), ..Prices::default() }.over(None), None);
        assert_eq!(Prices::default().over(Some(&list())), Some(list()));
        let own = Prices { input: Some(1.0), ..Prices::default() };
        assert_eq!(shown(own.over(None)), Some([1.0, 0.0, -1.0, -1.0, -1.0]));
    }
}
