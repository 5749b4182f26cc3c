//! Sends each request to one of several deployments.
//!
//! [`Balance`] picks when it is called, with the request in hand, and takes a place on the deployment in the same step;
//! the place is held until the response *body* has ended or is dropped. So a burst spreads exactly, and a long stream
//! counts for as long as it runs. The service is `Clone`, needs no `Buffer` and spawns no task.
//!
//! ```
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use tower::{ServiceExt, service_fn};
//! use tower_fleet::{Deployment, Served, balance::{Balance, LeastBusy}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_fleet::Error> {
//! let client = service_fn(|_: Request<String>| async { Ok::<_, Infallible>(Response::new(String::from("hello"))) });
//! let pool = Balance::new(LeastBusy, [
//!     (Deployment::new("eu"), client),
//!     (Deployment::new("us").weight(2), client),
//! ]);
//!
//! let response = pool.clone().oneshot(Request::new(String::new())).await?;
//! let served = Served::of(&response).map(|served| served.deployment().id().to_owned());
//! assert!(matches!(served.as_deref(), Some("eu" | "us")));
//! # Ok(())
//! # }
//! ```
//!
//! # Who can be picked
//!
//! In this order: deployments that are not paused or cooling ([`Health`](crate::deployment::Health)), that are below
//! their [`max_parallel_requests`](Deployment::max_parallel_requests) and what they [turn
//! out](Deployment::adaptive_concurrency) to bear, whose [limits and quotas](crate::quota) have enough left for the
//! request, which is taken in the same step, that have what the request [asks
//! for](crate::Demand) (room for its [input](Deployment::max_input_tokens), its [region](Deployment::region), its
//! [endpoint](Deployment::endpoints), [images](Deployment::images), its [tags](TagMatch)), that were not tried yet for
//! this request (as the [`Trail`](crate::Trail) knows; ignored when nothing else is left), of the lowest
//! [`order`](Deployment::order) that still has any, or, if the group [spills](BalanceLayer::spill), of an order drawn by
//! how well each is; then the [`Strategy`] chooses. When none can be picked the request is
//! [refused](crate::Error::Refused), with the time until one can. Where no deployment has what it asks for, the reason is
//! [`ContextWindow`](crate::error::RefusedReason::ContextWindow), if a shorter input would do, or
//! [`Unsupported`](crate::error::RefusedReason::Unsupported); where it takes more than any may ever have, it is
//! [`TooLarge`](crate::error::RefusedReason::TooLarge).
//!
//! What a pick saw, and what kept each deployment from the request, is told on the trail of those that
//! [ask](crate::Trail::explain).
//!
//! Two rules keep a group from failing more than its deployments do. At most a [share](BalanceLayer::max_ejected) of it
//! is set aside for soft reasons (5xx, time-outs, broken connections), one always, the last never. And when every
//! deployment is set aside for soft reasons, or the only one is for any, they are asked all the same, so that the caller
//! sees the real answer; unless a [`Fallback`](crate::fallback::Fallback) above has somewhere else to go.
//!
//! With [`Balance::queue`] a request that finds none free waits for one instead, see [`QueuePolicy`].
//!
//! # Which strategy
//!
//! | strategy | for | cost of a pick |
//! |---|---|---|
//! | [`LeastBusy`] | most: exact, and slow ones get less by themselves | constant |
//! | [`WeightedShuffle`], [`RoundRobin`] | fixed shares, whatever the answers take | constant; a step for each |
//! | [`PowerOfTwo`] | many instances over the same deployments, each blind to the others' requests | constant |
//! | [`LowestLatency`] | deployments of different speed, when answers should come soon | a step for each |
//! | [`HotCold`] | the same under high load: what is busy is left alone first, speed chooses among the rest | a step for each |
//! | [`LowestCost`] | deployments of different price | a step for each |
//! | [`LowestUsage`] | deployments of different [limits](crate::quota), when all are to be used up together | a step for each |
//! | [`Affinity`] | around another: requests that belong together stay together | a step for each |
//! | [`PreferIdle`] | around another: whoever has nothing to do goes first | as that one |
//!
//! A step is some nanoseconds. `benches/strategies.txt`, in the repository, has them all side by side under the same
//! requests: equal deployments and unequal ones, failures, bursts and long streams.
//!
//! # Readiness
//!
//! `poll_ready` is always ready. The picked service's own readiness is driven by the response future: if it fails,
//! another deployment is picked, for the request is still whole; while it is pending, up to two others without limits are
//! asked, and the first that is ready gets the request. One with a [limit](Deployment::limit), a
//! [quota](Deployment::quota) or a bound of its parallel requests is not asked so, as the place and the share it would
//! give to a request that may go elsewhere would be missing to others. Services are cloned for each request, so wrap one that is dear to clone.

mod candidates;
mod future;
mod group;
mod layer;
mod lease;
mod lowest;
mod members;
mod pool;
mod queue;
mod service;
mod slots;
mod strategy;
mod waiting;

pub use self::candidates::{Candidate, Candidates, Choice};
pub use self::future::ResponseFuture;
pub use self::layer::BalanceLayer;
pub(crate) use self::layer::Options;
pub use self::lease::Lease;
pub use self::members::{Drained, Members};
pub use self::pool::TagMatch;
pub use self::service::{Balance, ResponseBody};
pub use self::strategy::{
    Affinity, AnyStrategy, HotCold, LatencyMeasure, LeastBusy, LowestCost, LowestLatency,
    LowestUsage, PerRequest, PowerOfTwo, PreferIdle, RoundRobin, Strategy, WeightedShuffle,
};
pub use self::waiting::{PriorityClass, QueuePolicy};
pub use crate::deployment::pins::Pins;

#[cfg(doc)]
use crate::Deployment;
