use std::{collections::HashMap, fmt, sync::Arc};

use crate::{
    body::ReplayBody,
    outcome::{Classify, FailureKind, HttpClassify, Kinds},
    trail::{GroupName, Names},
};

/// Which groups stand in for which, on what failures.
///
/// ```
/// use tower_fleet::{fallback::FallbackPlan, outcome::FailureKind};
///
/// let plan = FallbackPlan::new()
///     .group("gpt-4o", ["gpt-4o-eu", "claude"])
///     .group_on(FailureKind::ContextWindow, "gpt-4o", ["gpt-4o-long"])
///     .otherwise(["small"]);
/// # let _ = plan;
/// ```
#[derive(Clone)]
pub struct FallbackPlan {
    pub(super) classify: Arc<dyn Classify>,
    lists: HashMap<GroupName, Vec<GroupName>>,
    by_kind: HashMap<(FailureKind, GroupName), Vec<GroupName>>,
    /// The kinds in `by_kind`, each once.
    listed_kinds: Vec<FailureKind>,
    otherwise: Vec<GroupName>,
    names: Arc<Names>,
    pub(super) max: usize,
    on_bad_request: bool,
    pub(super) replay_limit: usize,
}

impl Default for FallbackPlan {
    fn default() -> Self {
        Self::new()
    }
}

impl FallbackPlan {
    /// A plan without any group.
    #[must_use]
    pub fn new() -> Self {
        Self {
            classify: Arc::new(HttpClassify::new()),
            lists: HashMap::new(),
            by_kind: HashMap::new(),
            listed_kinds: Vec::new(),
            otherwise: Vec::new(),
            names: Arc::default(),
            max: 5,
            on_bad_request: false,
            replay_limit: ReplayBody::DEFAULT_LIMIT,
        }
    }

    /// The groups that stand in for `group`, in order. LiteLLM's `fallbacks`. In a
    /// [`FleetLayer`](crate::fleet::FleetLayer) they stand in for its aliases and for the names its wildcards match, too.
    #[must_use]
    pub fn group<G: Into<GroupName>>(
        mut self,
        group: impl Into<GroupName>,
        targets: impl IntoIterator<Item = G>,
    ) -> Self {
        self.lists.insert(group.into(), targets.into_iter().map(Into::into).collect());
        self
    }

    /// The groups that stand in for `group` when the failure is of `kind`, in the stead of its other list. LiteLLM's
    /// `context_window_fallbacks` and `content_policy_fallbacks`.
    #[must_use]
    pub fn group_on<G: Into<GroupName>>(
        mut self,
        kind: FailureKind,
        group: impl Into<GroupName>,
        targets: impl IntoIterator<Item = G>,
    ) -> Self {
        self.by_kind.insert((kind, group.into()), targets.into_iter().map(Into::into).collect());
        if !self.listed_kinds.contains(&kind) {
            self.listed_kinds.push(kind);
        }
        self
    }

    /// The groups that stand in for every group without a list of its own. LiteLLM's `default_fallbacks`, or `"*"`.
    #[must_use]
    pub fn otherwise<G: Into<GroupName>>(mut self, targets: impl IntoIterator<Item = G>) -> Self {
        self.otherwise = targets.into_iter().map(Into::into).collect();
        self
    }

    /// How many groups are tried at most after the first. Default 5, as in LiteLLM; but a true count, whatever the
    /// lists nest.
    #[must_use]
    pub fn max_fallbacks(mut self, count: usize) -> Self {
        self.max = count;
        self
    }

    /// Whether a request that a deployment calls wrong (400, 413, 422) is tried elsewhere. Default no; LiteLLM does.
    #[must_use]
    pub fn on_bad_request(mut self, falls_back: bool) -> Self {
        self.on_bad_request = falls_back;
        self
    }

    /// How much of a request body is recorded to be sent again, in bytes. Default 64 KiB.
    #[must_use]
    pub fn replay_limit(mut self, bytes: usize) -> Self {
        self.replay_limit = bytes;
        self
    }

    /// What is a failure. Default [`HttpClassify`]; not asked where a layer below has judged the response.
    #[must_use]
    pub fn classify(mut self, classify: impl Classify) -> Self {
        self.classify = Arc::new(classify);
        self
    }

    /// Gives every name the lists of the group that serves it, where it has none of its own.
    pub(crate) fn named(mut self, names: Arc<Names>) -> Self {
        self.names = names;
        self
    }

    /// The group that `name` stands for.
    pub(super) fn group_of<'a>(&'a self, name: &'a GroupName) -> &'a GroupName {
        self.names.target(name)
    }

    /// Whether a failure of this kind is tried in another group.
    pub(super) fn falls_back(&self, kind: FailureKind) -> bool {
        self.falls_back_on().contains(kind)
    }

    /// The failures on which another group is tried. Nothing has reached the caller then, even of a truncated response.
    pub(super) fn falls_back_on(&self) -> Kinds {
        let mut kinds = Kinds::ALL;
        kinds.remove(FailureKind::Cancelled);
        if !self.on_bad_request {
            kinds.remove(FailureKind::BadRequest);
        }
        kinds
    }

    /// The kinds for which any group has a list of its own.
    pub(super) fn kinds_with_lists(&self) -> impl Iterator<Item = FailureKind> {
        self.listed_kinds.iter().copied()
    }

    /// Whether any failure leads anywhere from `group`.
    pub(super) fn has_lists_for(&self, group: Option<&GroupName>) -> bool {
        let of_kind =
            || self.names(group).any(|name| self.by_kind.keys().any(|(_, of)| of == name));
        !self.targets_of_any(group).is_empty() || of_kind()
    }

    /// The groups that stand in for `group` on a failure of this kind.
    pub(super) fn targets(&self, group: Option<&GroupName>, kind: FailureKind) -> &[GroupName] {
        self.targets_of(group, kind).unwrap_or_else(|| self.targets_of_any(group))
    }

    /// Those that stand in on failures of this kind alone.
    pub(super) fn targets_of(
        &self,
        group: Option<&GroupName>,
        kind: FailureKind,
    ) -> Option<&[GroupName]> {
        let own = self.names(group).find_map(|name| self.by_kind.get(&(kind, name.clone())));
        own.map(Vec::as_slice)
    }

    /// Those that stand in on failures that have no list to themselves.
    pub(super) fn targets_of_any(&self, group: Option<&GroupName>) -> &[GroupName] {
        self.names(group).find_map(|name| self.lists.get(name)).unwrap_or(&self.otherwise)
    }

    /// The names under which a group may have lists: as it was asked for, then its own.
    fn names<'a>(&'a self, asked: Option<&'a GroupName>) -> impl Iterator<Item = &'a GroupName> {
        asked.into_iter().flat_map(|asked| self.names.all_of(asked))
    }
}

impl fmt::Debug for FallbackPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackPlan")
            .field("groups", &self.lists)
            .field("groups_on", &self.by_kind)
            .field("otherwise", &self.otherwise)
            .field("max_fallbacks", &self.max)
            .finish_non_exhaustive()
    }
}
