//! Groups that stand in for others, and other names for them.

use super::{Alias, Fallback, field::Field, keys, names::Names};

/// A list of maps from a group to its fallbacks, of which LiteLLM reads only the first key, or one
/// such map.
pub(super) fn fallbacks(field: Field<'_>, names: &Names<'_>) -> Vec<Fallback> {
    const EXPECTED: &str = "a map from a group to its fallbacks";
    let maps = if field.is_map() {
        vec![field]
    } else {
        field.list("a list of maps from a group to its fallbacks").unwrap_or_default()
    };
    let entries = maps.into_iter().flat_map(|map| map.entries(EXPECTED).unwrap_or_default());
    let mut lists: Vec<Fallback> = Vec::new();
    for (group, field) in entries {
        let at = field.at.clone();
        if group != "*" {
            names.check(&group, &at, format_args!("{group:?}"));
        }
        let Some(targets) = targets(field, names) else { continue };
        if lists.iter().any(|list| list.group == group) {
            at.warn("no effect: of two lists for a group the first holds, as in LiteLLM");
        } else {
            lists.push(Fallback { group, targets });
        }
    }
    lists
}

/// The names of at least one group, each of which may stand in a map, as its `model`.
pub(super) fn targets(field: Field<'_>, names: &Names<'_>) -> Option<Vec<String>> {
    let at = field.at.clone();
    let fields = if field.is_list() { field.list("a list")? } else { vec![field] };
    let target = |field: Field<'_>| {
        let field = if field.is_map() { model_of(field)? } else { field };
        let name = field.text_or("the name of a group")?;
        names.check(&name, &field.at, field.as_name());
        Some(name)
    };
    if fields.is_empty() {
        at.error("expected at least one group");
    }
    let targets: Vec<_> = fields.into_iter().filter_map(target).collect();
    (!targets.is_empty()).then_some(targets)
}

fn model_of(field: Field<'_>) -> Option<Field<'_>> {
    let mut target = field.section();
    let model = target.require("model", "the name of a group");
    target.finish(&keys::TARGET);
    model
}

pub(super) fn aliases(field: Field<'_>, names: &mut Names<'_>) -> Vec<Alias> {
    let mut aliases = Vec::new();
    for (name, field) in field.entries("a map from an alias to a group").unwrap_or_default() {
        let (target, hidden) = if field.is_map() {
            let mut alias = field.section();
            let target = alias.require("model", "the name of a group");
            let hidden = alias.take("hidden").and_then(|field| field.flag()).unwrap_or_default();
            alias.finish(&keys::ALIAS);
            (target, hidden)
        } else {
            (Some(field), false)
        };
        let Some(field) = target else { continue };
        let Some(target) = field.text_or("the name of a group") else { continue };
        names.check(&target, &field.at, field.as_name());
        aliases.push(Alias { name, target, hidden });
    }
    names.aliases.extend(aliases.iter().map(|alias| alias.name.clone()));
    aliases
}
