//! How many slots of the queue each weight gets.

/// The most slots one member gets. Finer ratios than one to this are rounded. Taking a member of so many out and in
/// again costs some 15 µs.
const MOST: u32 = 1024;

/// What many members have together, so that a change among them costs about a millisecond: 16 bytes a slot.
const TOTAL: u32 = 65_536;

/// The least that the most of a member is, however many there are.
const LEAST: u32 = 128;

/// As many slots as the weight, after all weights are reduced by their common divisor and, if one is still above the
/// most, scaled down to it. A weight above 0 gets at least one slot; a weight of 0 gets none.
pub(super) fn slots(weights: &[u32]) -> Vec<u32> {
    let members = u32::try_from(weights.len()).unwrap_or(u32::MAX).max(1);
    let cap = (TOTAL / members).clamp(LEAST, MOST);
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let most = u64::from(weights.iter().max().map_or(1, |most| most / divisor)).max(1);
    let scale = |weight: u32| {
        let reduced = u64::from(weight / divisor);
        if most <= u64::from(cap) {
            reduced
        } else {
            let rounded = (reduced * u64::from(cap) + most / 2) / most;
            rounded.max(u64::from(weight > 0))
        }
    };
    weights.iter().map(|weight| u32::try_from(scale(*weight)).unwrap_or(cap)).collect()
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
        assert_eq!(slots(&[1_000_000, 500_000, 1]), [1024, 512, 1]);
        assert_eq!(slots(&[u32::MAX, 1]), [1024, 1]);
        assert_eq!(slots(&[1000, 1]), [1000, 1]);
    }

    #[test]
    fn many_members_have_fewer_slots_each() {
        let most = |members: usize| {
            let mut weights = vec![1_000_000; members];
            weights[0] = 1;
            slots(&weights)[1]
        };
        assert_eq!([2, 64, 128, 512, 5000].map(most), [1024, 1024, 512, 128, 128]);
    }

    #[test]
    fn a_weight_of_zero_gets_no_slot() {
        assert_eq!(slots(&[0, 5, 10]), [0, 1, 2]);
        assert_eq!(slots(&[0]), [0]);
        assert!(slots(&[]).is_empty());
    }
}
