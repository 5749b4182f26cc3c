//! Tokens and money, in as few signs as can be read.

use std::fmt;

use tower_fleet::{deployment::Usage, trail::Step};

/// US dollars: four decimals, and more where the first two digits that are not 0 come later.
pub(crate) struct Dollars(pub(crate) f64);

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(amount) = *self;
        if amount == 0.0 {
            return f.write_str("$0");
        }
        let decimals = (4..=12).find(|decimals| amount * 10_f64.powi(*decimals) >= 9.5);
        write!(f, "${amount:.*}", decimals.unwrap_or(12).unsigned_abs() as usize)
    }
}

/// What the answers to a request took, all attempts together: `12+5 tokens $0.000045`.
pub(crate) struct Taken {
    input: u64,
    output: u64,
    estimated: bool,
    /// None where a price is not known.
    cost: Option<f64>,
}

impl Taken {
    /// None where no answer's tokens are known.
    pub(crate) fn by(steps: &[Step]) -> Option<Self> {
        let mut spent = steps.iter().filter_map(Step::spent).peekable();
        spent.peek()?;
        let nothing = Self { input: 0, output: 0, estimated: false, cost: Some(0.0) };
        Some(spent.fold(nothing, |sum, spent| {
            let Usage { input, output, estimated, .. } = spent.usage;
            Self {
                input: sum.input.saturating_add(input),
                output: sum.output.saturating_add(output),
                estimated: sum.estimated || estimated,
                cost: sum.cost.zip(spent.cost).map(|(sum, cost)| sum + cost),
            }
        }))
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.estimated { "about " } else { "" };
        write!(f, "{about}{}+{} tokens", self.input, self.output)?;
        match self.cost {
            Some(cost) => write!(f, " {}", Dollars(cost)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_sums_keep_two_digits() {
        let shown = [0.0, 2.5, 0.015, 0.0012, 0.000_045, 0.000_000_15, 0.000_099_9]
            .map(|amount| Dollars(amount).to_string());
        let expected =
            ["$0", "$2.5000", "$0.0150", "$0.0012", "$0.000045", "$0.00000015", "$0.00010"];
        assert_eq!(shown, expected);
        assert_eq!(Dollars(1e-15).to_string(), "$0.000000000000");
    }
}
