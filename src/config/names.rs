//! The names a fallback or an alias may refer to.

use std::fmt::Display;

use super::{
    DeploymentConfig,
    read::At,
    suggest::{did_you_mean, nearest},
};

/// The groups and deployments of the file, and its aliases as they become known.
pub(super) struct Names<'d> {
    deployments: &'d [DeploymentConfig],
    pub(super) aliases: Vec<String>,
}

impl<'d> Names<'d> {
    pub(super) fn of(deployments: &'d [DeploymentConfig]) -> Self {
        Self { deployments, aliases: Vec::new() }
    }

    /// Warns when `name`, which stands at `at` and is told as `shown`, means nothing here. LiteLLM
    /// takes it, and fails when it is used.
    pub(super) fn check(&self, name: &str, at: &At<'_>, shown: impl Display) {
        let known = |deployment: &DeploymentConfig| {
            // One whose name could not be read may be any.
            deployment.model_name.is_empty()
                || deployment.id == name
                || covers(&deployment.model_name, name)
        };
        if self.deployments.iter().any(known) || self.aliases.iter().any(|alias| alias == name) {
            return;
        }
        let groups = self.deployments.iter().map(|deployment| deployment.model_name.as_str());
        let meant = nearest(name, groups.chain(self.aliases.iter().map(String::as_str)));
        at.warn(format!("no group has the name {shown}{}", did_you_mean(meant)));
    }
}

/// Whether a group's name, in which `*` stands for any text, covers `name`.
fn covers(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let Some((middle, end)) = tail.rsplit_once('*') else { return rest.ends_with(tail) };
    // What stands between two `*` is best taken where it first appears: that leaves most for what
    // follows.
    for part in middle.split('*') {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_covers_any_text() {
        for (pattern, name) in [
            ("gpt", "gpt"),
            ("*", ""),
            ("openai/*", "openai/gpt-4o"),
            ("x-*-mini", "x-4-mini"),
            ("*a*b*", "xxaxxbxx"),
            ("a**b", "ab"),
        ] {
            assert!(covers(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("gpt", "gpt-4"),
            ("openai/*", "azure/gpt-4o"),
            ("x-*-mini", "x-4-mini-extra"),
            ("a*a", "a"),
            ("*b*a", "ab"),
            ("a*b*b", "ab"),
        ] {
            assert!(!covers(pattern, name), "{pattern} {name}");
        }
    }
}
