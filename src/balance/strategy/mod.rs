//! Which of the candidates gets a request.

use std::{sync::Arc, time::Duration};

use super::candidates::{Candidate, Candidates, Choice, Place};
use crate::deployment::Pins;

mod affinity;
mod any;
mod cost;
mod hot_cold;
mod latency;
mod least_busy;
mod per_request;
mod power_of_two;
mod prefer_idle;
mod round_robin;
mod usage;
mod weighted_shuffle;

pub use self::affinity::Affinity;
pub use self::any::AnyStrategy;
pub use self::cost::LowestCost;
pub use self::hot_cold::HotCold;
pub use self::latency::{LatencyMeasure, LowestLatency};
pub use self::least_busy::LeastBusy;
pub use self::per_request::PerRequest;
pub use self::power_of_two::PowerOfTwo;
pub use self::prefer_idle::PreferIdle;
pub use self::round_robin::RoundRobin;
pub use self::usage::LowestUsage;
pub use self::weighted_shuffle::WeightedShuffle;

/// Chooses among the deployments that can take a request.
///
/// Health, limits, `order` and what was tried already are dealt with before; a strategy only says which of the
/// [`Candidates`] it likes best. It runs under the lock of its group, in one step with taking the place, so that its
/// choice is exact: it must be quick, and must neither call the balance it serves nor change the health of a
/// deployment: both wait for that lock.
///
/// ```
/// use tower_fleet::balance::{Candidates, Choice, Strategy};
///
/// /// Fills one deployment up before it uses the next.
/// #[derive(Debug)]
/// struct Pack;
///
/// impl Strategy for Pack {
///     fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
///         Some(candidates.iter().max_by_key(|one| one.in_flight())?.choose())
///     }
/// }
/// ```
pub trait Strategy: Send + Sync + 'static {
    /// The choice; none to leave the request to the candidates of the next `order`, or, if there are none, refused.
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice>;

    /// Over which time the [latencies](crate::Deployment::latency) of the members are averaged, where it reads them;
    /// none, the default, leaves them unmeasured, which costs nothing. A strategy around another one gives its.
    fn latency_decay(&self) -> Option<Duration> {
        None
    }

    /// What an [explanation](crate::trail::Explanation::strategies) calls it. By default the name of its type.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        let path = path.split_once('<').map_or(path, |(path, _)| path);
        path.rsplit_once("::").map_or(path, |(_, name)| name)
    }

    /// Where it remembers which deployment served what, for whoever reads the answers to add what they tell. Always the
    /// same. A strategy around another one hands on that one's. By default none.
    fn pins(&self) -> Option<&Pins> {
        None
    }
}

impl<S: Strategy + ?Sized> Strategy for Arc<S> {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        (**self).pick(candidates)
    }

    fn latency_decay(&self) -> Option<Duration> {
        (**self).latency_decay()
    }

    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn pins(&self) -> Option<&Pins> {
        (**self).pins()
    }
}

impl<S: Strategy + ?Sized> Strategy for Box<S> {
    fn pick(&self, candidates: &mut Candidates<'_>) -> Option<Choice> {
        (**self).pick(candidates)
    }

    fn latency_decay(&self) -> Option<Duration> {
        (**self).latency_decay()
    }

    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn pins(&self) -> Option<&Pins> {
        (**self).pins()
    }
}
