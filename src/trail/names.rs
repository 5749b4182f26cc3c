use std::{
    collections::HashMap,
    iter::{once, once_with},
    sync::Arc,
};

use super::{Captured, GroupName, Pattern};

/// Which group a name stands for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    exact: HashMap<GroupName, usize>,
    aliases: HashMap<GroupName, GroupName>,
    /// The most specific first.
    patterns: Vec<(Pattern, GroupName, usize)>,
}

impl Names {
    pub(crate) fn new(
        groups: impl IntoIterator<Item = GroupName>,
        aliases: HashMap<GroupName, GroupName>,
    ) -> Self {
        let exact: HashMap<_, _> =
            groups.into_iter().enumerate().map(|(index, name)| (name, index)).collect();
        let with_wildcard = exact
            .iter()
            .filter_map(|(name, index)| Some((Pattern::new(name.as_str())?, name.clone(), *index)));
        let mut patterns: Vec<_> = with_wildcard.collect();
        patterns.sort_by_key(|(pattern, _, index)| (pattern.rank(), *index));
        Self { exact, aliases, patterns }
    }

    /// The index of the group `name` stands for, and what its wildcards stand for.
    pub(crate) fn find(&self, name: &str) -> Option<(usize, Option<Captured>)> {
        let name = self.aliases.get(name).map_or(name, GroupName::as_str);
        if let Some(index) = self.exact.get(name) {
            return Some((*index, None));
        }
        self.patterns.iter().find_map(|(pattern, _, index)| {
            let captures = pattern.captures(name)?;
            Some((*index, Some(Captured::new(captures.into_iter().map(Arc::from)))))
        })
    }

    /// Whether a group has this name, or a wildcard that matches it.
    pub(crate) fn is_group(&self, name: &GroupName) -> bool {
        self.exact.contains_key(name) || self.wildcard(name).is_some()
    }

    /// What `name` stands for by its aliases: the name of a group, or one that a wildcard matches.
    pub(crate) fn target<'a>(&'a self, name: &'a GroupName) -> &'a GroupName {
        self.aliases.get(name).unwrap_or(name)
    }

    /// The names under which something may be said of the group that serves `asked`: this very name, what it is an
    /// alias of, and the name with wildcards that matches it.
    pub(crate) fn all_of<'a>(
        &'a self,
        asked: &'a GroupName,
    ) -> impl Iterator<Item = &'a GroupName> {
        let target = self.aliases.get(asked);
        let wildcard = once_with(move || self.wildcard(target.unwrap_or(asked))).flatten();
        once(asked).chain(target).chain(wildcard)
    }

    fn wildcard(&self, name: &GroupName) -> Option<&GroupName> {
        if self.patterns.is_empty() || self.exact.contains_key(name) {
            return None;
        }
        let matches = |pattern: &Pattern| pattern.captures(name.as_str()).is_some();
        self.patterns.iter().find(|(pattern, ..)| matches(pattern)).map(|(_, name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(groups: &[&str], aliases: &[(&str, &str)]) -> Names {
        let aliases = aliases
            .iter()
            .map(|(name, target)| (GroupName::new(*name), GroupName::new(*target)))
            .collect();
        Names::new(groups.iter().map(|name| GroupName::new(*name)), aliases)
    }

    fn index(names: &Names, name: &str) -> Option<usize> {
        names.find(name).map(|(index, _)| index)
    }

    #[test]
    fn an_exact_name_goes_before_any_pattern_and_longer_patterns_before_shorter() {
        let names = names(&["*", "openai/*", "openai/gpt-4o", "openai/gpt-*"], &[]);
        assert_eq!(index(&names, "openai/gpt-4o"), Some(2));
        assert_eq!(index(&names, "openai/gpt-5"), Some(3));
        assert_eq!(index(&names, "openai/o3"), Some(1));
        assert_eq!(index(&names, "llama"), Some(0));
    }

    #[test]
    fn an_alias_goes_first_and_may_lead_to_a_pattern() {
        let names = names(&["gpt", "openai/*"], &[("gpt", "openai/gpt-4o")]);
        let (index, captured) = names.find("gpt").unwrap();
        assert_eq!(index, 1);
        assert_eq!(captured.unwrap().iter().collect::<Vec<_>>(), ["gpt-4o"]);
    }

    #[test]
    fn a_group_is_known_by_the_name_asked_for_its_alias_and_its_wildcard() {
        let names = names(&["gpt", "openai/*", "*"], &[("small", "openai/mini"), ("big", "gpt")]);
        let all = |asked: &str| {
            let asked = GroupName::new(asked);
            names.all_of(&asked).map(GroupName::to_string).collect::<Vec<_>>()
        };
        assert_eq!(all("gpt"), ["gpt"]);
        assert_eq!(all("big"), ["big", "gpt"]);
        assert_eq!(all("small"), ["small", "openai/mini", "openai/*"]);
        assert_eq!(all("openai/o3"), ["openai/o3", "openai/*"]);
        assert_eq!(all("llama"), ["llama", "*"]);
    }

    #[test]
    fn an_unknown_name_is_no_group() {
        assert_eq!(index(&names(&["gpt"], &[("alias", "gone")]), "other"), None);
        assert_eq!(index(&names(&["gpt"], &[("alias", "gone")]), "alias"), None);
    }
}
