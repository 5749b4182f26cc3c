//! How many slots of the queue each weight gets.

/// The most slots one member gets. Finer ratios than one to this are rounded.
const MOST: u32 = 128;

/// As many slots as the weight, after all weights are reduced by their common divisor and, if one is still above
/// [`MOST`], scaled down to it. A weight above 0 gets at least one slot; a weight of 0 gets none.
pub(super) fn slots(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let most = u64::from(weights.iter().max().map_or(1, |most| most / divisor)).max(1);
    let scale = |weight: u32| {
        let reduced = u64::from(weight / divisor);
        if most <= u64::from(MOST) {
            reduced
        } else {
            let rounded = (reduced * u64::from(MOST) + most / 2) / most;
            rounded.max(u64::from(weight > 0))
        }
    };
    weights.iter().map(|weight| u32::try_from(scale(*weight)).unwrap_or(MOST)).collect()
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::slots;

    #[test]
    fn weights_are_reduced_by_their_common_divisor() {
        assert_eq!(slots(&[100, 200, 400]), [1, 2, 4]);
        assert_eq!(slots(&[7, 7]), [1, 1]);
        assert_eq!(slots(&[3]), [1]);
    }

    #[test]
    fn weights_far_apart_are_rounded_and_none_is_lost() {
        assert_eq!(slots(&[1_000_000, 500_000, 1]), [128, 64, 1]);
        assert_eq!(slots(&[u32::MAX, 1]), [128, 1]);
    }

    #[test]
    fn a_weight_of_zero_gets_no_slot() {
        assert_eq!(slots(&[0, 5, 10]), [0, 1, 2]);
        assert_eq!(slots(&[0]), [0]);
        assert!(slots(&[]).is_empty());
    }
}
