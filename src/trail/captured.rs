use std::sync::Arc;

use super::Carried;

/// What the wildcards of a group's name stand for in the name a request asked for: put there by a
/// [`Fleet`](crate::fleet::Fleet).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured(Arc<[Arc<str>]>);

impl Captured {
    pub(crate) fn new(captures: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self(captures.into_iter().collect())
    }

    /// What the wildcards of the group `request` goes to stand for.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Option<&Self> {
        Carried::of(request.extensions())?.captured.as_ref()
    }

    /// The texts, one for each wildcard from the left.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|text| &**text)
    }

    /// `name` with its wildcards replaced by these texts, the first by the first; a wildcard without one, by nothing.
    #[must_use]
    pub fn fill(&self, name: &str) -> String {
        let mut parts = name.split('*');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        let mut captures = self.iter();
        for part in parts {
            filled.push_str(captures.next().unwrap_or_default());
            filled.push_str(part);
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::Captured;

    fn fill<const N: usize>(name: &str, captures: [&str; N]) -> String {
        Captured::new(captures.into_iter().map(Into::into)).fill(name)
    }

    #[test]
    fn captures_fill_the_wildcards_of_another_name() {
        assert_eq!(fill("*", ["gpt-4o"]), "gpt-4o");
        assert_eq!(fill("eu/*/*-x", ["a", "b"]), "eu/a/b-x");
        assert_eq!(fill("fixed", ["a"]), "fixed");
        assert_eq!(fill("*-*", ["a"]), "a-");
    }
}
