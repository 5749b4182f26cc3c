//! Money that may be spent in a time.

use super::{field::Field, keys, names::Names, read::Section};
use crate::quota::Window;

/// So much may be spent in a time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Budget {
    /// US dollars, finite and at least 0; with 0 nothing may be spent.
    pub dollars: f64,
    /// In which time.
    pub window: Window,
}

impl Budget {
    /// A deployment's or a quota group's.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let (dollars, period) = (section.take("max_budget"), section.take("budget_duration"));
        Self::of(dollars, period, "max_budget", "budget_duration")
    }

    /// `provider_budget_config`.
    pub(super) fn of_providers(field: Field<'_>, names: &Names<'_>) -> Vec<(String, Self)> {
        let read = |(provider, field): (String, Field<'_>)| {
            names.check_provider(&provider, &field.at);
            let at = field.at.clone();
            let mut section = field.section();
            let dollars = section.take("budget_limit").or(section.take("max_budget"));
            let period = section.take("time_period").or(section.take("budget_duration"));
            if dollars.is_none() && period.is_none() {
                at.warn("no `budget_limit`, so there is no limit");
            }
            let budget = Self::of(dollars, period, "budget_limit", "time_period");
            section.finish(&keys::PROVIDER_BUDGET);
            Some((provider, budget?))
        };
        let providers = field.entries("a map from a provider to its budget").unwrap_or_default();
        providers.into_iter().filter_map(read).collect()
    }

    /// `tag_budget_config`.
    pub(super) fn of_tags(field: Field<'_>) -> Vec<(String, Self)> {
        let read = |(tag, field): (String, Field<'_>)| {
            let mut section = field.section();
            let budget = Self::read(&mut section);
            section.finish(&keys::TAG_BUDGET);
            Some((tag, budget?))
        };
        let tags = field.entries("a map from a tag to its budget").unwrap_or_default();
        tags.into_iter().filter_map(read).collect()
    }

    /// Of one without the other a warning tells, by their names.
    fn of(
        dollars: Option<Field<'_>>,
        period: Option<Field<'_>>,
        limit: &str,
        time: &str,
    ) -> Option<Self> {
        match (&dollars, &period) {
            (Some(dollars), None) => dollars.at.warn(format!(
                "NOT ENFORCED: no effect without `{time}`, as in LiteLLM; say for which time it is, such as `1d`"
            )),
            (None, Some(period)) => period.at.warn(format!("no effect without `{limit}`")),
            _ => {}
        }
        let dollars = dollars.and_then(|field| {
            field.number("a number of US dollars of at least 0", |dollars| dollars >= 0.0)
        });
        let window = period.and_then(|field| window(&field));
        Some(Self { dollars: dollars?, window: window? })
    }
}

fn window(field: &Field<'_>) -> Option<Window> {
    const EXPECTED: &str = "a time such as `30s`, `15m`, `12h`, `1d`, `2w` or `1mo`";
    let window = field.text_or(EXPECTED)?.parse();
    window.inspect_err(|_| field.wrong(EXPECTED)).ok()
}
