//! What becomes of each key that LiteLLM has: one table for the warnings and the documentation.

mod deployment;
mod router;
mod server;

#[cfg(test)]
mod tests;

use super::{field::as_flag, value::Value};

pub(super) use self::{
    deployment::{ENTRY, LITELLM_PARAMS, MODEL_INFO, STREAM_OPTIONS},
    router::{
        ALIAS, ALLOWED_FAILS_POLICY, CHECKS, PROVIDER_BUDGET, QUEUE, QUEUE_CLASS, QUOTA_GROUP,
        RETRY_POLICY, ROUTER_SETTINGS, STRATEGY_ARGS, TARGET,
    },
    server::{GENERAL_SETTINGS, LITELLM_SETTINGS, TAG_BUDGET, TOP_LEVEL},
};

/// The keys of one map of the file.
pub(super) struct Keys {
    /// Where the map stands.
    #[cfg_attr(not(test), expect(dead_code, reason = "the heading of its table"))]
    place: &'static str,
    rows: &'static [Row],
}

/// Keys that share a fate. One that ends in `*` stands for all that begin so.
struct Row {
    keys: &'static [&'static str],
    fate: Fate,
}

/// What becomes of a key.
pub(super) enum Fate {
    /// It is read and holds.
    Honoured(#[cfg_attr(not(test), expect(dead_code, reason = "told by the table"))] &'static str),
    /// It has no effect.
    Ignored { why: &'static str, instead: &'static str, when: When },
    /// It has no effect, and whoever relies on it is not protected.
    NotEnforced { why: &'static str, instead: &'static str },
}

/// Which values of a key without effect are worth a warning.
#[derive(PartialEq, Eq)]
pub(super) enum When {
    Given,
    /// Not those that turn off what is off here anyway: `false`, an empty list, an empty map.
    On,
}

const fn honoured(keys: &'static [&'static str], how: &'static str) -> Row {
    Row { keys, fate: Fate::Honoured(how) }
}

const fn ignored(keys: &'static [&'static str], why: &'static str, instead: &'static str) -> Row {
    Row { keys, fate: Fate::Ignored { why, instead, when: When::Given } }
}

/// As [`ignored`], for what can be turned off.
const fn absent(keys: &'static [&'static str], why: &'static str, instead: &'static str) -> Row {
    Row { keys, fate: Fate::Ignored { why, instead, when: When::On } }
}

const fn not_enforced(
    keys: &'static [&'static str],
    why: &'static str,
    instead: &'static str,
) -> Row {
    Row { keys, fate: Fate::NotEnforced { why, instead } }
}

impl Keys {
    /// What becomes of `key`. A mistyped key, which `may_begin` is false for, is none of those that only
    /// begin alike.
    pub(super) fn fate(&self, key: &str, may_begin: bool) -> Option<&Fate> {
        let row = self.find(|name| name == key).or_else(|| {
            let begins = |name: &str| name.strip_suffix('*').is_some_and(|it| key.starts_with(it));
            may_begin.then(|| self.find(begins)).flatten()
        });
        row.map(|row| &row.fate)
    }

    /// The names of the keys.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.rows.iter().flat_map(|row| row.keys).copied()
    }

    fn find(&self, is_it: impl Fn(&str) -> bool) -> Option<&Row> {
        self.rows.iter().find(|row| row.keys.iter().any(|name| is_it(name)))
    }
}

impl Fate {
    /// What to warn of where the key was given and not asked for.
    pub(super) fn warning(&self, value: &Value) -> Option<String> {
        let off = match value {
            Value::Null => return None,
            Value::Bool(on) => !on,
            Value::Text(text) => as_flag(text) == Some(false),
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            _ => false,
        };
        match self {
            Self::Honoured(_) => None,
            Self::Ignored { when: When::On, .. } if off => None,
            Self::Ignored { why, instead, .. } => Some(format!("not honoured: {why}; {instead}")),
            Self::NotEnforced { why, instead } => Some(format!("NOT ENFORCED: {why}; {instead}")),
        }
    }
}
