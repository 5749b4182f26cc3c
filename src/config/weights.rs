//! Shares of the traffic, from `weight`, `rpm` or `tpm`.

use super::DeploymentConfig;

/// The weights of the members of one group, in their order: small whole numbers, whose ratios are
/// those configured to within 1/1000. Strategies may [round](crate::Deployment::weight) them further.
///
/// They come from the first of `weight`, `rpm` and `tpm` that gives any member traffic, as in
/// LiteLLM; without one, all weigh 1. A member that has none of what counts is not starved, as it
/// is in LiteLLM: it has the `weight` 1, or the mean of the others' `rpm` or `tpm`, beside whose
/// thousands a 1 would be next to nothing. Only a member whose own value is 0 weighs 0.
///
/// ```
/// # use tower_fleet::config::{Config, weights};
/// let yaml = "
/// model_list:
///   - {model_name: chat, litellm_params: {model: openai/gpt-4o, weight: 0.3}}
///   - {model_name: chat, litellm_params: {model: groq/llama-3.3-70b-versatile, weight: 0.7}}
/// ";
/// let config = Config::from_yaml(yaml)?;
/// assert_eq!(weights(&config.deployments), [3, 7]);
/// # Ok::<_, tower_fleet::config::ConfigError>(())
/// ```
#[must_use]
pub fn weights<'a>(group: impl IntoIterator<Item = &'a DeploymentConfig>) -> Vec<u32> {
    let group: Vec<_> = group.into_iter().collect();
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    let as_float = |value: Option<u64>| value.map(|value| value as f64);
    let weight = filled(group.iter().map(|member| member.weight), |_| 1.0);
    let rpm = || filled(group.iter().map(|member| as_float(member.limits.rpm)), mean);
    let tpm = || filled(group.iter().map(|member| as_float(member.limits.tpm)), mean);
    match weight.or_else(rpm).or_else(tpm) {
        Some(shares) => smallest_whole(&shares),
        None => vec![1; group.len()],
    }
}

/// The values, with what `missing` makes of those given in place of the absent ones; `None` unless
/// one is given and one, given or not, is more than 0.
fn filled(
    values: impl Iterator<Item = Option<f64>>,
    missing: impl Fn(&[f64]) -> f64,
) -> Option<Vec<f64>> {
    let values: Vec<_> = values.collect();
    let given: Vec<f64> = values.iter().copied().flatten().collect();
    if given.is_empty() {
        return None;
    }
    let missing = missing(&given);
    let all: Vec<f64> = values.into_iter().map(|value| value.unwrap_or(missing)).collect();
    all.iter().any(|share| *share > 0.0).then_some(all)
}

#[expect(clippy::cast_precision_loss, reason = "no group has 2^53 members")]
fn mean(given: &[f64]) -> f64 {
    given.iter().sum::<f64>() / given.len() as f64
}

/// The smallest whole numbers in the ratios of `shares`.
///
/// The least share becomes 1, 2, 3, … until the others are whole to within 1/2000 of themselves, so
/// that no ratio of two is off by more than 1/1000. At 1000 each is, as none is then less than 1000
/// and rounding moves it by 1/2 at most. A share above `u32::MAX` times the least is held there.
fn smallest_whole(shares: &[f64]) -> Vec<u32> {
    const TOLERANCE: f64 = 1.0 / 2000.0;
    let least = shares.iter().copied().filter(|share| *share > 0.0).fold(f64::INFINITY, f64::min);
    let scaled = |parts: u32| shares.iter().map(move |share| share / least * f64::from(parts));
    let whole = |share: f64| (share - share.round()).abs() <= share * TOLERANCE;
    let parts = (1..1000).find(|parts| scaled(*parts).all(whole)).unwrap_or(1000);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast holds it at u32::MAX"
    )]
    scaled(parts).map(|share| share.round() as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_kept_with_the_smallest_numbers() {
        assert_eq!(smallest_whole(&[0.3, 0.7]), [3, 7]);
        assert_eq!(smallest_whole(&[60_000.0, 120_000.0, 0.0]), [1, 2, 0]);
        assert_eq!(smallest_whole(&[1.0, 2.5]), [2, 5]);
        assert_eq!(smallest_whole(&[5e-324, 1e308]), [1000, u32::MAX]);
    }

    #[test]
    fn no_ratio_is_off_by_more_than_a_thousandth() {
        let shares = [1.0, std::f64::consts::PI, 37.123_456, 999.999, 0.123];
        let whole = smallest_whole(&shares);
        for (a, x) in shares.iter().zip(&whole) {
            for (b, y) in shares.iter().zip(&whole) {
                let off = (f64::from(*x) / f64::from(*y)) / (a / b) - 1.0;
                assert!(off.abs() <= 0.001_001, "{a} / {b} became {x} / {y}");
            }
        }
    }
}
