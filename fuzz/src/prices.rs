//! A file of prices.

use tower_fleet::{deployment::Usage, llm::PriceList};

/// What is left out is said, and what is priced has a cost that is one.
pub fn run(data: &[u8]) {
    let list = match PriceList::from_slice(data) {
        Ok(list) => list,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for problem in list.problems() {
        assert!(!problem.to_string().is_empty());
    }
    let mut usage = Usage::default();
    (usage.input, usage.cached, usage.output, usage.reasoning) = (300_000, 1_000, 5_000, 50);
    for (provider, model) in [(None, "m"), (Some("openai"), "m"), (Some("openai"), "gpt-4o")] {
        let price = list.get(provider, model).and_then(|model| model.price.as_ref());
        let cost = price.map_or(0.0, |price| price.cost(&usage));
        assert!(cost >= 0.0, "{cost}");
    }
}
