//! Which members a request's tags leave.

use std::sync::Arc;

use crate::deployment::Deployment;

/// The tag of deployments that serve requests without tags, and those whose tags no deployment has.
const DEFAULT: &str = "default";

/// How the tags of a request choose among the [tags of deployments](Deployment::tags).
///
/// The rules are LiteLLM's. Of a group in which at least one deployment has tags:
///
/// | the request has | it goes to |
/// |---|---|
/// | no tags | deployments tagged `default`; where no deployment is, all |
/// | `a` `b` | deployments with one of them ([`Any`](Self::Any)), or with both ([`All`](Self::All)) |
/// | tags that no deployment of the group has | deployments tagged `default`; where none is, it is refused |
/// | `&a` | deployments with `a`; it takes no others, however it is asked beside that |
/// | `!a` | as without it, but never deployments with `a` |
///
/// So a deployment without tags serves requests without tags as long as none is tagged `default`, and those that have
/// only `&` and `!` in their tags. What a group's deployments have is what all of them have, whether or not they are
/// well: a request is [refused](crate::error::RefusedReason::Unsupported), and does not go where its tags would not
/// have let it. LiteLLM looks at the healthy ones alone, so that there untagged requests go everywhere once those
/// tagged `default` are cooling.
///
/// In a group without tags, plain ones say nothing (LiteLLM refuses them): they may be meant for other groups, or for
/// whoever counts by tag. `&a` is refused there too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TagMatch {
    /// One tag in common is enough. The default, as in LiteLLM.
    #[default]
    Any,
    /// The deployment must have all of the request's tags. LiteLLM's `tag_filtering_match_any: false`.
    All,
    /// Tags are not looked at. LiteLLM's `enable_tag_filtering: false`.
    Ignore,
}

/// What the tags of a group's members come to: laid out with the slots, so that a pick need not look at all of them.
#[derive(Debug, Default)]
pub(super) struct Tags {
    how: TagMatch,
    /// Every tag that a member has, sorted.
    known: Vec<Arc<str>>,
}

/// What the tags of a request ask of each member.
#[derive(Clone, Copy, Debug)]
pub(super) struct TagNeeds<'a> {
    asked: &'a [Arc<str>],
    plain: Plain,
    /// There are tags beside the plain ones.
    marked: bool,
}

/// What is asked beside what `&` and `!` say.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plain {
    Nothing,
    Any,
    All,
    Default,
}

/// A tag of a request.
enum Asked<'a> {
    Plain(&'a str),
    Must(&'a str),
    Not(&'a str),
}

impl<'a> Asked<'a> {
    /// None for a mark alone.
    fn of(tag: &'a str) -> Option<Self> {
        let (asked, name) = match (tag.strip_prefix('&'), tag.strip_prefix('!')) {
            (Some(name), _) => (Self::Must(name), name),
            (_, Some(name)) => (Self::Not(name), name),
            _ => (Self::Plain(tag), tag),
        };
        (!name.is_empty()).then_some(asked)
    }
}

impl Tags {
    pub(super) fn set_match(&mut self, how: TagMatch) {
        self.how = how;
    }

    /// Takes in the tags of `members`, which are all of the group.
    pub(super) fn learn<'a>(&mut self, members: impl Iterator<Item = &'a Deployment>) {
        self.known.clear();
        self.known.extend(members.flat_map(Deployment::get_tags).cloned());
        self.known.sort_unstable();
        self.known.dedup();
    }

    /// What a request with the tags `asked` needs of each member; none where any will do.
    #[inline]
    pub(super) fn needs<'a>(&self, asked: &'a [Arc<str>]) -> Option<TagNeeds<'a>> {
        if asked.is_empty() && self.known.is_empty() || self.how == TagMatch::Ignore {
            return None;
        }
        self.read(asked)
    }

    fn read<'a>(&self, asked: &'a [Arc<str>]) -> Option<TagNeeds<'a>> {
        let (mut plain, mut known, mut must, mut not) = (false, false, false, false);
        for tag in asked.iter().filter_map(|tag| Asked::of(tag)) {
            match tag {
                Asked::Plain(name) => {
                    plain = true;
                    known |= self.knows(name);
                }
                Asked::Must(_) => must = true,
                Asked::Not(_) => not = true,
            }
        }
        let plain = match self.how {
            _ if self.known.is_empty() => Plain::Nothing,
            TagMatch::All if known => Plain::All,
            _ if known => Plain::Any,
            _ if plain || !must && self.knows(DEFAULT) => Plain::Default,
            _ => Plain::Nothing,
        };
        let marked = must || not;
        (marked || plain != Plain::Nothing).then_some(TagNeeds { asked, plain, marked })
    }

    fn knows(&self, name: &str) -> bool {
        self.known.binary_search_by(|known| (**known).cmp(name)).is_ok()
    }
}

impl<'a> TagNeeds<'a> {
    pub(super) fn are_met_by(self, deployment: &Deployment) -> bool {
        let has = |name: &str| deployment.get_tags().iter().any(|tag| **tag == *name);
        let marks = |tag| match tag {
            Asked::Must(name) => has(name),
            Asked::Not(name) => !has(name),
            Asked::Plain(_) => true,
        };
        if self.marked && !self.tags().all(marks) {
            return false;
        }
        let mut plain = self.tags().filter_map(|tag| match tag {
            Asked::Plain(name) => Some(name),
            _ => None,
        });
        match self.plain {
            Plain::Nothing => true,
            Plain::Any => plain.any(has),
            Plain::All => plain.all(has),
            Plain::Default => has(DEFAULT),
        }
    }

    /// The tags of the request, as it has them.
    pub(super) fn asked(self) -> &'a [Arc<str>] {
        self.asked
    }

    fn tags(self) -> impl Iterator<Item = Asked<'a>> {
        self.asked.iter().filter_map(|tag| Asked::of(tag))
    }
}
