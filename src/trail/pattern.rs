/// A name with wildcards: each `*` stands for any text, also none; the rest must match exactly, from the first
/// character to the last.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// The text before, between and after the wildcards: one more than there are wildcards.
    literals: Vec<String>,
}

impl Pattern {
    /// The pattern, if `name` has a wildcard at all.
    pub(crate) fn new(name: &str) -> Option<Self> {
        name.contains('*').then(|| Self { literals: name.split('*').map(str::to_owned).collect() })
    }

    /// What each wildcard stands for in `name`, as short as it can be from the left; none if `name` does not match.
    pub(crate) fn captures<'n>(&self, name: &'n str) -> Option<Vec<&'n str>> {
        let [first, between @ .., last] = &self.literals[..] else { return None };
        let mut rest = name.strip_prefix(first.as_str())?.strip_suffix(last.as_str())?;
        let mut captures = Vec::with_capacity(between.len() + 1);
        for literal in between {
            let (capture, after) = rest.split_once(literal.as_str())?;
            captures.push(capture);
            rest = after;
        }
        captures.push(rest);
        Some(captures)
    }

    /// Orders patterns from the most specific: more of the name is spelled out, then fewer wildcards.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        let spelled: usize = self.literals.iter().map(String::len).sum();
        (std::cmp::Reverse(spelled), self.literals.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    fn captures<'n>(pattern: &str, name: &'n str) -> Option<Vec<&'n str>> {
        Pattern::new(pattern).unwrap().captures(name)
    }

    #[test]
    fn a_wildcard_stands_for_any_text() {
        assert_eq!(captures("openai/*", "openai/gpt-4o"), Some(vec!["gpt-4o"]));
        assert_eq!(captures("openai/*", "openai/"), Some(vec![""]));
        assert_eq!(captures("*", "anything"), Some(vec!["anything"]));
        assert_eq!(captures("a*b*c", "a1b2c"), Some(vec!["1", "2"]));
        assert_eq!(captures("a**b", "ab"), Some(vec!["", ""]));
        assert_eq!(captures("*-*", "x-y-z"), Some(vec!["x", "y-z"]));
    }

    #[test]
    fn a_pattern_is_anchored_at_both_ends() {
        assert_eq!(captures("x-*-mini", "x-4-mini"), Some(vec!["4"]));
        assert_eq!(captures("x-*-mini", "x-4-mini-extra"), None);
        assert_eq!(captures("x-*-mini", "an-x-4-mini"), None);
        assert_eq!(captures("ab*ba", "aba"), None, "the ends may not overlap");
        assert_eq!(captures("*b*a", "ab"), None);
    }

    #[test]
    fn dots_and_brackets_mean_themselves() {
        assert_eq!(captures("gpt-3.5*", "gpt-3x5-turbo"), None);
        assert_eq!(captures("[a]*", "[a]b"), Some(vec!["b"]));
    }
}
