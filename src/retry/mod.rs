//! Sends a request again when it failed: to another deployment first.
//!
//! Over a [balance](crate::balance) the next attempt goes to a deployment that was not tried yet, at once. Only when
//! the same one must be asked again does it wait: as long as the response's `Retry-After` says, or by a
//! [`Backoff`] with full jitter. Over a bare client every retry is of that kind.
//!
//! ```
//! use std::{convert::Infallible, sync::atomic::{AtomicUsize, Ordering}};
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Empty;
//! use bytes::Bytes;
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_fleet::retry::{Backoff, RetryLayer, RetryPolicy};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), tower_fleet::Error> {
//! static CALLS: AtomicUsize = AtomicUsize::new(0);
//! let flaky = service_fn(|_: Request<_>| async {
//!     let mut response = Response::new(Empty::<Bytes>::new());
//!     if CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
//!         *response.status_mut() = StatusCode::BAD_GATEWAY;
//!     }
//!     Ok::<_, Infallible>(response)
//! });
//! let client = RetryLayer::new(RetryPolicy::new().attempts(2)).layer(flaky);
//! let response = client.oneshot(Request::new(Empty::<Bytes>::new())).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! # What is retried
//!
//! A failure that another deployment may not have, as the [kind](crate::outcome::FailureKind) says; of a request that
//! may be sent twice: its method is idempotent, or it has an `Idempotency-Key`, or it surely was not processed, or
//! the policy is for [any method](RetryPolicy::any_method). Its body must be replayable: up to a
//! [limit](RetryPolicy::replay_limit) it is recorded as it is sent ([`ReplayBody`](crate::body::ReplayBody)); where
//! that was in the way, [`Trail::not_replayed`](crate::Trail::not_replayed) says so. `CONNECT` and upgrades are sent
//! once, and what a layer of this crate refused is not sent at all.
//!
//! It ends with the first answer that is no such failure; when the attempts, the [deadline](RetryPolicy::deadline) or
//! the [budget](RetryPolicy::budget) are used up; or when a fallback above has a better place to go than the same
//! deployment again. The caller then gets the last real response, its body intact, rather than an error of an attempt
//! that got none. It never sleeps after the last attempt.
//!
//! # What an attempt is given
//!
//! Head and extensions as they came to this layer, so what changes a request anew each time (signing, dates, tokens)
//! belongs below. The service below is called with [`ReplayBody`](crate::body::ReplayBody); for a client that insists
//! on a type of its own, Tower's `MapRequestLayer` goes between.

mod backoff;
mod budget;
mod counts;
mod future;
mod layer;
mod policy;
mod service;

pub use self::backoff::Backoff;
pub use self::budget::RetryBudget;
pub use self::counts::RetryCounts;
pub use self::future::ResponseFuture;
pub use self::layer::RetryLayer;
pub use self::policy::RetryPolicy;
pub use self::service::Retry;
