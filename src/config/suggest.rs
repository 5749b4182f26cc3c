//! What a mistyped name may have meant.

/// The end of a message about an unknown name: `; did you mean ...?`, or nothing.
pub(super) fn did_you_mean(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
}

/// The candidate that `name` most likely meant: one mistake away, or two in a name of six
/// characters or more.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = if name.chars().count() < 6 { 1 } else { 2 };
    let candidates = candidates.into_iter().filter(|candidate| !candidate.contains('*'));
    let measured = candidates.map(|candidate| (distance(name, candidate), candidate));
    measured
        .filter(|(mistakes, _)| *mistakes <= allowed)
        .min_by_key(|(mistakes, _)| *mistakes)
        .map(|(_, it)| it)
}

/// The mistakes between two names: characters added, dropped, replaced, or swapped with their
/// neighbour (the optimal string alignment form of the Damerau-Levenshtein distance).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Rows of the usual table: two back, one back, and the one being filled.
    let (mut older, mut last) = (Vec::new(), (0..=b.len()).collect::<Vec<_>>());
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut fewest = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                fewest = fewest.min(older[j - 2] + 1);
            }
            row.push(fewest);
        }
        older = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_is_one_mistake_and_a_short_name_may_have_one() {
        assert_eq!(distance("rmp", "rpm"), 1);
        assert_eq!(distance("", "rpm"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(nearest("rmp", ["tpm", "rpm"]), Some("rpm"));
        assert_eq!(nearest("abc", ["rpm", "tpm"]), None);
        assert_eq!(nearest("num_retrys", ["num_retries"]), Some("num_retries"));
        assert_eq!(nearest("modle_nam", ["model_name"]), Some("model_name"));
        assert_eq!(nearest("aws_", ["aws_*"]), None);
    }
}
