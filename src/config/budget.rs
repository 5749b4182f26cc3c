//! Money that may be spent in a time.

use std::time::Duration;

use super::{field::Field, keys, names::Names, read::Section};

/// So much may be spent in a time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Budget {
    /// US dollars, finite and at least 0; with 0 nothing may be spent.
    pub dollars: f64,
    /// In which time.
    pub period: Period,
}

/// The time a [`Budget`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Period {
    /// Any stretch of this length, more than zero. LiteLLM's begins with the first request after the one before.
    Rolling(Duration),
    /// `1mo`: the month of the calendar, in UTC.
    Month,
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
        let period = period.and_then(|field| Period::read(&field));
        Some(Self { dollars: dollars?, period: period? })
    }
}

impl Period {
    fn read(field: &Field<'_>) -> Option<Self> {
        const EXPECTED: &str = "a time such as `30s`, `15m`, `12h`, `1d`, `2w` or `1mo`";
        let period = Self::parse(&field.text_or(EXPECTED)?);
        if period.is_none() {
            field.wrong(EXPECTED);
        }
        period
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "1mo" {
            return Some(Self::Month);
        }
        let (number, unit) = text.split_at(text.find(|it: char| !it.is_ascii_digit())?);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            "w" => 7 * 24 * 60 * 60,
            _ => return None,
        };
        let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
        (seconds > 0).then_some(Self::Rolling(Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_number_and_a_unit() {
        let rolling = |seconds| Some(Period::Rolling(Duration::from_secs(seconds)));
        for (text, period) in [
            ("30s", rolling(30)),
            ("15m", rolling(900)),
            ("12h", rolling(43_200)),
            ("1d", rolling(86_400)),
            ("2w", rolling(1_209_600)),
            ("1mo", Some(Period::Month)),
        ] {
            assert_eq!(Period::parse(text), period, "{text}");
        }
        for wrong in
            ["", "d", "1", "0s", "-1d", "1.5h", "1 d", "1y", "2mo", "1mon", "99999999999999999w"]
        {
            assert_eq!(Period::parse(wrong), None, "{wrong}");
        }
    }
}
