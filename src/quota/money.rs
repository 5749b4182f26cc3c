//! US dollars as whole billionths: a sum of them is exact, whatever its order.

const IN_A_DOLLAR: f64 = 1e9;

/// What `dollars` are, rounded to the nearest billionth; what is no number or less than nothing is nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both saturate")]
pub(crate) fn billionths(dollars: f64) -> u64 {
    (dollars * IN_A_DOLLAR).round() as u64
}

/// The same, rounded up, for what is charged. A thousandth of a billionth more than a whole number is taken for the dust
/// of floating-point arithmetic.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both saturate")]
pub(crate) fn billionths_up(dollars: f64) -> u64 {
    (dollars * IN_A_DOLLAR - 1e-3).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_and_what_is_charged_is_rounded_up() {
        for (dollars, amount, charged) in [
            (0.0, 0, 0),
            (0.1 + 0.2, 300_000_000, 300_000_000),
            (3e-6 * 1000.0, 3_000_000, 3_000_000),
            (1.4e-9, 1, 2),
            (1.6e-9, 2, 2),
            (1e-11, 0, 1),
            (-1.0, 0, 0),
            (f64::NAN, 0, 0),
            (f64::INFINITY, u64::MAX, u64::MAX),
            (1e30, u64::MAX, u64::MAX),
        ] {
            assert_eq!(
                (billionths(dollars), billionths_up(dollars)),
                (amount, charged),
                "{dollars}"
            );
        }
    }

    #[test]
    fn a_thousand_equal_prices_are_a_thousand_times_the_price() {
        let charged: u64 = (0..1000).map(|_| billionths_up(0.15 / 1e6 * 1000.0)).sum();
        assert_eq!(charged, billionths(0.15));
    }
}
