//! One model of a price file.

use serde_json::{Map, Value};

use super::{ListedModel, PriceProblem, Texts};
use crate::deployment::{Price, PriceTier};

const INPUT: &str = "input_cost_per_token";
const OUTPUT: &str = "output_cost_per_token";
const CACHED: &str = "cache_read_input_token_cost";
const CACHE_WRITTEN: &str = "cache_creation_input_token_cost";
const REASONING: &str = "output_cost_per_reasoning_token";

/// Models with these modes have no output tokens.
const WITHOUT_OUTPUT: &[&str] = &["embedding", "rerank"];

pub(super) fn read(
    name: &str,
    value: &Value,
    texts: &mut Texts,
    problems: &mut Vec<PriceProblem>,
) -> Option<ListedModel> {
    let Value::Object(members) = value else {
        let message = "expected an object";
        problems.push(PriceProblem { model: name.into(), key: None, message });
        return None;
    };
    let mut entry = Entry { name, members, problems };
    let mode = entry.text("mode").map(|mode| texts.shared(mode));
    let provider = entry.text("litellm_provider").map(|provider| texts.shared(provider));
    let has_output = mode.as_deref().is_none_or(|mode| !WITHOUT_OUTPUT.contains(&mode));
    // Odd numbers are told, and what would be made of the others is not a price.
    let price = entry.price(has_output).unwrap_or_default();
    let max_output_tokens = entry.tokens("max_output_tokens");
    Some(ListedModel {
        price,
        max_input_tokens: entry.tokens("max_input_tokens"),
        max_output_tokens: max_output_tokens.or_else(|| entry.tokens("max_tokens")),
        images: entry.flag("supports_vision"),
        mode,
        provider,
    })
}

/// A number that makes no sense; its problem has been noted.
struct Odd;

struct Entry<'a> {
    name: &'a str,
    members: &'a Map<String, Value>,
    problems: &'a mut Vec<PriceProblem>,
}

impl<'a> Entry<'a> {
    fn price(&mut self, has_output: bool) -> Result<Option<Price>, Odd> {
        let mut tiers = self.tiered_pricing()?;
        // The first tier of such a table is what holds for every request that no other holds for.
        let first = if tiers.is_empty() { PriceTier::default() } else { tiers.remove(0) };
        let (input, output) = (self.rate(INPUT)?, self.rate(OUTPUT)?);
        if tiers.is_empty() && first == PriceTier::default() {
            tiers = self.tiers()?;
        }
        let free = (!has_output).then_some(0.0);
        let (cached, cache_written) = (self.rate(CACHED)?, self.rate(CACHE_WRITTEN)?);
        let reasoning = self.rate(REASONING)?;
        let input = first.input.or(input);
        let output = first.output.or(output).or(free);
        Ok(input.zip(output).map(|(input, output)| Price {
            input,
            output,
            cached: first.cached.or(cached),
            cache_written: first.cache_written.or(cache_written),
            reasoning: first.reasoning.or(reasoning),
            tiers,
        }))
    }

    /// From members such as `input_cost_per_token_above_200k_tokens`.
    fn tiers(&mut self) -> Result<Vec<PriceTier>, Odd> {
        let mut tiers: Vec<PriceTier> = Vec::new();
        for (key, value) in self.members {
            let Some((of, above)) = above(key) else { continue };
            let Some(rate) = self.number(key, value)? else { continue };
            let index = tiers.iter().position(|tier| tier.above == above).unwrap_or_else(|| {
                tiers.push(PriceTier::above(above));
                tiers.len() - 1
            });
            let tier = &mut tiers[index];
            let slot = match of {
                INPUT => &mut tier.input,
                OUTPUT => &mut tier.output,
                CACHED => &mut tier.cached,
                CACHE_WRITTEN => &mut tier.cache_written,
                _ => &mut tier.reasoning,
            };
            *slot = Some(rate);
        }
        Ok(tiers)
    }

    /// From a table of ranges, lowest first; a rate that a range does not give is that of its input or output.
    fn tiered_pricing(&mut self) -> Result<Vec<PriceTier>, Odd> {
        const KEY: &str = "tiered_pricing";
        const TABLE: &str = "expected a list of objects, each with a `range` of whole numbers";
        let rows = match self.members.get(KEY) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(rows)) => rows,
            Some(_) => return Err(self.odd(KEY, TABLE)),
        };
        let mut tiers = Vec::with_capacity(rows.len());
        for row in rows {
            // Searches have tables by other things than tokens.
            let Some(range) = row.get("range") else { return Ok(Vec::new()) };
            let Some(above) = range.get(0).and_then(whole) else {
                return Err(self.odd(KEY, TABLE));
            };
            let mut rate = |key| row.get(key).map_or(Ok(None), |value| self.number(KEY, value));
            let (input, output) = (rate(INPUT)?, rate(OUTPUT)?);
            tiers.push(PriceTier {
                above,
                input,
                output,
                cached: rate(CACHED)?.or(input),
                cache_written: rate(CACHE_WRITTEN)?.or(input),
                reasoning: rate(REASONING)?.or(output),
            });
        }
        tiers.sort_by_key(|tier| tier.above);
        Ok(tiers)
    }

    fn rate(&mut self, key: &str) -> Result<Option<f64>, Odd> {
        let members = self.members;
        members.get(key).map_or(Ok(None), |value| self.number(key, value))
    }

    fn number(&mut self, key: &str, value: &Value) -> Result<Option<f64>, Odd> {
        let number = match value {
            Value::Null => return Ok(None),
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.filter(|number| number.is_finite() && *number >= 0.0) {
            Some(number) => Ok(Some(number)),
            None => Err(self.odd(key, "expected a number of at least 0")),
        }
    }

    fn tokens(&mut self, key: &str) -> Option<u64> {
        let value = self.members.get(key).filter(|value| !value.is_null())?;
        let tokens = whole(value);
        if tokens.is_none() {
            self.odd(key, "expected a whole number");
        }
        tokens
    }

    fn flag(&mut self, key: &str) -> Option<bool> {
        let value = self.members.get(key).filter(|value| !value.is_null())?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.odd(key, "expected true or false");
        }
        flag
    }

    fn text(&mut self, key: &str) -> Option<&'a str> {
        let members: &'a Map<String, Value> = self.members;
        let value = members.get(key).filter(|value| !value.is_null())?;
        let text = value.as_str();
        if text.is_none() {
            self.odd(key, "expected a text");
        }
        text
    }

    fn odd(&mut self, key: &str, message: &'static str) -> Odd {
        let (model, key) = (self.name.into(), Some(key.into()));
        self.problems.push(PriceProblem { model, key, message });
        Odd
    }
}

/// What `input_cost_per_token_above_200k_tokens` is a price of, and from where. What follows for a service tier
/// (`…_tokens_priority`) or a longer cache (`…_above_1hr`) is no such price.
fn above(key: &str) -> Option<(&'static str, u64)> {
    let (of, above) = key.strip_suffix("_tokens")?.split_once("_above_")?;
    let of =
        [INPUT, OUTPUT, CACHED, CACHE_WRITTEN, REASONING].into_iter().find(|key| *key == of)?;
    let tokens = match above.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1_000)?,
        None => above.parse().ok()?,
    };
    Some((of, tokens))
}

/// A number of tokens, which may be written as a text or as `1e6`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is cast is whole and in range"
)]
fn whole(value: &Value) -> Option<u64> {
    let number = match value {
        Value::Number(number) => match number.as_u64() {
            Some(whole) => return Some(whole),
            None => number.as_f64()?,
        },
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let in_range = (0.0..9e15).contains(&number);
    (in_range && number.fract() == 0.0).then_some(number as u64)
}
