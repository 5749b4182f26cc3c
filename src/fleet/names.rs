use std::{collections::HashMap, sync::Arc};

use super::pattern::Pattern;
use crate::trail::{Captured, GroupName};

/// Which group a name stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    exact: HashMap<GroupName, usize>,
    aliases: HashMap<GroupName, GroupName>,
    /// The most specific first.
    patterns: Vec<(Pattern, usize)>,
}

impl Names {
    pub(super) fn new(
        groups: impl IntoIterator<Item = GroupName>,
        aliases: HashMap<GroupName, GroupName>,
    ) -> Self {
        let exact: HashMap<_, _> =
            groups.into_iter().enumerate().map(|(index, name)| (name, index)).collect();
        let with_wildcard =
            exact.iter().filter_map(|(name, index)| Some((Pattern::new(name.as_str())?, *index)));
        let mut patterns: Vec<_> = with_wildcard.collect();
        patterns.sort_by_key(|(pattern, index)| (pattern.rank(), *index));
        Self { exact, aliases, patterns }
    }

    /// The index of the group `name` stands for, and what its wildcards stand for.
    pub(super) fn find(&self, name: &str) -> Option<(usize, Option<Captured>)> {
        let name = self.aliases.get(name).map_or(name, GroupName::as_str);
        if let Some(index) = self.exact.get(name) {
            return Some((*index, None));
        }
        self.patterns.iter().find_map(|(pattern, index)| {
            let captures = pattern.captures(name)?;
            Some((*index, Some(Captured::new(captures.into_iter().map(Arc::from)))))
        })
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
    fn an_unknown_name_is_no_group() {
        assert_eq!(index(&names(&["gpt"], &[("alias", "gone")]), "other"), None);
        assert_eq!(index(&names(&["gpt"], &[("alias", "gone")]), "alias"), None);
    }
}
