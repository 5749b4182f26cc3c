use super::Deployment;
use crate::trail::Demand;

/// The output of an answer of which nothing is known.
pub(crate) const TYPICAL_OUTPUT: u16 = 256;

/// The tokens a request is expected to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expected {
    /// Of the input.
    pub input: u64,
    /// Of the output.
    pub output: u64,
}

impl Deployment {
    /// What a request that asks for `demand` is expected to take here: the input as it was estimated, the output as long
    /// as it may become. Where the demand does not say, the mean of the [answers](Self::usage) so far; before there is
    /// one, a token of input and 256 of output, a short answer. Under a [limit](crate::quota) no more than that of what
    /// is not said is set aside.
    #[must_use]
    pub fn expected(&self, demand: Option<&Demand>) -> Expected {
        let input = demand.and_then(|demand| demand.input_tokens);
        let output = demand.and_then(|demand| demand.output_tokens);
        if let (Some(input), Some(output)) = (input, output) {
            return Expected { input, output };
        }
        let all = self.usage();
        let mean = |total: u64| total.checked_div(all.answers);
        Expected {
            input: input.or_else(|| mean(all.usage.input)).unwrap_or(1),
            output: output.or_else(|| mean(all.usage.output)).unwrap_or(TYPICAL_OUTPUT.into()),
        }
    }
}
