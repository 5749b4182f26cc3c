//! Why a request went where it went.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use super::GroupName;
use crate::{deployment::Deployment, error::Refused, outcome::FailureKind};

/// What a balance saw at one pick, and what it made of it: kept on the trail of requests that
/// [ask](super::Trail::explain) for it.
///
/// Its `Display` is a table with a line for each deployment:
///
/// ```text
/// picked eu-2 of group chat
///   eu-1  7 in flight  is cooling for 12.0 s more (rate_limited)
///   eu-2  1 in flight  score 1: picked
///   eu-3  4 in flight  score 4
///   us-1  0 in flight  is of another order
/// ```
#[derive(Clone, Debug)]
pub struct Explanation {
    pub(crate) group: Option<GroupName>,
    pub(crate) at: Instant,
    pub(crate) considered: Vec<Considered>,
    pub(crate) refused: Option<Refused>,
}

/// One deployment at a pick.
#[derive(Clone, Debug)]
pub struct Considered {
    pub(crate) deployment: Deployment,
    pub(crate) in_flight: u32,
    pub(crate) removed: Option<Removed>,
    pub(crate) score: Option<f64>,
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
        /// For how long from the pick on, where that is known.
        wait: Option<Duration>,
    },
    /// Too little is left of the money that may be spent on it.
    Budget {
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

    /// What the strategy made of it, where it chooses by a score: the lowest is the best.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        self.score
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
        match (self.removed, self.score) {
            (Some(removed), _) => removed.fmt(f),
            (None, Some(score)) => write!(f, "score {score}"),
            (None, None) => f.write_str("can be picked"),
        }?;
        match (self.picked, self.removed) {
            (true, Some(_)) => f.write_str(": picked as the last resort"),
            (true, None) => f.write_str(": picked"),
            (false, _) => Ok(()),
        }
    }
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
            Self::Limited { wait } => {
                f.write_str("has too little left of a limit")?;
                after(f, *wait)
            }
            Self::Budget { wait } => {
                f.write_str("has too little left of a budget")?;
                after(f, *wait)
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

fn after(f: &mut fmt::Formatter<'_>, wait: Option<Duration>) -> fmt::Result {
    wait.map_or(Ok(()), |wait| write!(f, " for {:.1} s more", wait.as_secs_f64()))
}

#[cfg(test)]
mod tests;
