//! Why a request went where it went.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use super::GroupName;
use crate::{deployment::Deployment, error::Refused, outcome::FailureKind, quota::Limit};

/// What a balance saw at one pick, and what it made of it: kept on the trail of requests that
/// [ask](super::Trail::explain) for it.
///
/// Its `Display` is a table with a line for each deployment:
///
/// ```text
/// picked eu-2 of group chat by HotCold, LowestLatency
///   eu-1  7 in flight  is cooling for 12.0 s more (rate_limited)
///   eu-2  1 in flight  expected seconds 1.5: picked
///   eu-3  4 in flight  is hot
///   us-1  0 in flight  is of another order
/// ```
#[derive(Clone, Debug)]
pub struct Explanation {
    pub(crate) group: Option<GroupName>,
    pub(crate) at: Instant,
    pub(crate) considered: Vec<Considered>,
    pub(crate) strategies: Vec<&'static str>,
    pub(crate) reasons: Vec<String>,
    pub(crate) refused: Option<Refused>,
}

/// One deployment at a pick.
#[derive(Clone, Debug)]
pub struct Considered {
    pub(crate) deployment: Deployment,
    pub(crate) in_flight: u32,
    pub(crate) removed: Option<Removed>,
    pub(crate) scores: Vec<(&'static str, f64)>,
    pub(crate) remarks: Vec<&'static str>,
    pub(crate) picked: bool,
}

/// What kept a deployment from a request: the first that did, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Removed {
    /// An operator took it out.
    Paused,
    /// It is cooling.
    Cooling {
        /// For how long from the pick on.
        wait: Duration,
        /// The kind of failure that set it aside; none where an operator did.
        cause: Option<FailureKind>,
    },
    /// It is on trial after a cooldown, and as many requests as may try it do.
    OnTrial,
    /// Its weight is 0.
    Weight,
    /// It has all the requests it may have at a time.
    Full,
    /// Of one of its limits too little is left for the request.
    Limited {
        /// The one that keeps the request longest.
        limit: Limit,
        /// For how long from the pick on, where that is known.
        wait: Option<Duration>,
    },
    /// Too little is left of the money that may be spent on it.
    Budget {
        /// The one that keeps the request longest.
        limit: Limit,
        /// For how long from the pick on, where that is known.
        wait: Option<Duration>,
    },
    /// The request takes more than one of its limits ever has.
    TooLarge,
    /// The input is too long for it.
    ContextWindow,
    /// It is not in the region that the request must stay in.
    Region,
    /// It does not have the endpoint.
    Endpoint,
    /// It takes no images.
    Images,
    /// Its tags are not those that the request asks for.
    Tags,
    /// The request was sent to it before, and there were others.
    Tried,
    /// Its share grows back after a cooldown, and this request was not in it.
    Ramping {
        /// The share, of 1.
        share: f32,
    },
    /// The pick was made from another [order](Deployment::order).
    Order,
}

impl Explanation {
    /// The group, where the request named one.
    #[must_use]
    pub fn group(&self) -> Option<&GroupName> {
        self.group.as_ref()
    }

    /// When the pick was made.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.at
    }

    /// All the deployments of the group, as they stood before the pick.
    #[must_use]
    pub fn considered(&self) -> &[Considered] {
        &self.considered
    }

    /// The one that was picked.
    #[must_use]
    pub fn picked(&self) -> Option<&Considered> {
        self.considered.iter().find(|one| one.picked)
    }

    /// The names of the strategies that made the pick: the balance's, and those that had it from there. None where no
    /// strategy was asked, as for the last resort.
    #[must_use]
    pub fn strategies(&self) -> &[&'static str] {
        &self.strategies
    }

    /// What the strategies [said](crate::balance::Candidates::explain) of the pick as a whole, and how they chose among
    /// equals.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// Why none was picked.
    #[must_use]
    pub fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }
}

impl Considered {
    /// The deployment.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// How many requests the balance had in flight on it.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// What kept it from the request; none where the strategy could choose it. One that was picked all the same was the
    /// last resort: none was left to choose.
    #[must_use]
    pub fn removed(&self) -> Option<Removed> {
        self.removed
    }

    /// What the strategy made of it, where it chooses by a score: the first of the [scores](Self::scores).
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        self.scores.first().map(|(_, score)| *score)
    }

    /// The numbers that strategies went by, and what they are: of most the lowest is the best. None for what has no
    /// number, as the cost without a price.
    #[must_use]
    pub fn scores(&self) -> &[(&'static str, f64)] {
        &self.scores
    }

    /// What the strategies [said](crate::balance::Candidates::remark) of it, such as `is hot`.
    #[must_use]
    pub fn remarks(&self) -> &[&'static str] {
        &self.remarks
    }

    /// Whether it was picked.
    #[must_use]
    pub fn is_picked(&self) -> bool {
        self.picked
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.picked(), &self.refused) {
            (Some(picked), _) => write!(f, "picked {}", picked.deployment.id())?,
            (None, Some(refused)) => write!(f, "refused: {refused}")?,
            (None, None) => f.write_str("picked none")?,
        }
        // A refusal names the group itself.
        if let Some(group) = self.group.as_ref().filter(|_| self.refused.is_none()) {
            write!(f, " of group {}", group.as_str())?;
        }
        if !self.strategies.is_empty() {
            write!(f, " by {}", self.strategies.join(", "))?;
        }
        if !self.reasons.is_empty() {
            write!(f, ": {}", self.reasons.join("; "))?;
        }
        let ids = self.considered.iter().map(|one| one.deployment.id().chars().count());
        let counts = self.considered.iter().map(|one| one.in_flight).max().unwrap_or(0);
        let (longest, digits) = (ids.max().unwrap_or(0), counts.to_string().len());
        for one in &self.considered {
            let (id, in_flight) = (one.deployment.id(), one.in_flight);
            write!(f, "\n  {id:longest$}  {in_flight:digits$} in flight  {one}")?;
        }
        Ok(())
    }
}

/// What became of it, without its name.
impl fmt::Display for Considered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scores = self.scores.iter().map(|(name, score)| format!("{name} {}", rounded(*score)));
        let told: Vec<_> = scores.chain(self.remarks.iter().map(ToString::to_string)).collect();
        match self.removed {
            Some(removed) => removed.fmt(f),
            None if told.is_empty() => f.write_str("can be picked"),
            None => f.write_str(&told.join(", ")),
        }?;
        match (self.picked, self.removed) {
            (true, Some(_)) => f.write_str(": picked as the last resort"),
            (true, None) => f.write_str(": picked"),
            (false, _) => Ok(()),
        }
    }
}

/// To four digits: more are noise, as most are not measured as well.
fn rounded(score: f64) -> f64 {
    format!("{score:.3e}").parse().unwrap_or(score)
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("is paused"),
            Self::Cooling { wait, cause } => {
                write!(f, "is cooling for {:.1} s more", wait.as_secs_f64())?;
                cause.map_or(Ok(()), |kind| write!(f, " ({kind})"))
            }
            Self::OnTrial => f.write_str("is on trial, and others try it"),
            Self::Weight => f.write_str("has no weight"),
            Self::Full => f.write_str("has all the requests it may have at a time"),
            Self::Limited { limit, wait } | Self::Budget { limit, wait } => {
                write!(f, "has too little left of {limit}")?;
                wait.map_or(Ok(()), |wait| write!(f, ", for {:.1} s more", wait.as_secs_f64()))
            }
            Self::TooLarge => f.write_str("may never have as much"),
            Self::ContextWindow => f.write_str("takes no input as long"),
            Self::Region => f.write_str("is not in the region"),
            Self::Endpoint => f.write_str("does not have the endpoint"),
            Self::Images => f.write_str("takes no images"),
            Self::Tags => f.write_str("does not have the tags"),
            Self::Tried => f.write_str("was tried before"),
            Self::Ramping { share } => {
                write!(f, "takes {:.0} % of its share so far", share * 100.0)
            }
            Self::Order => f.write_str("is of another order"),
        }
    }
}

#[cfg(test)]
mod tests;
