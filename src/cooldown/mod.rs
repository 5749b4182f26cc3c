//! Sets a deployment aside when it fails, and brings it back with care: a circuit breaker that knows HTTP.
//!
//! Under a [balance](crate::balance) the layer judges how each attempt ended and enters it in the
//! [`Health`](crate::deployment::Health) of the deployment it finds on the request; the balance then passes over those
//! that are cooling. Alone over any service it keeps a health of its own, and refuses requests itself:
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_fleet::{Error, cooldown::{CooldownLayer, CooldownPolicy}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! let client = service_fn(|_: Request<String>| async {
//!     let mut response = Response::new(String::new());
//!     *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
//!     response.headers_mut().insert("retry-after", "20".parse().expect("a number"));
//!     Ok::<_, Infallible>(response)
//! });
//! let breaker = CooldownLayer::new(CooldownPolicy::default()).layer(client);
//!
//! let first = breaker.clone().oneshot(Request::new(String::new())).await?;
//! assert_eq!(first.status(), 429);
//!
//! let Err(Error::Refused(refused)) = breaker.clone().oneshot(Request::new(String::new())).await else {
//!     panic!("it asked again");
//! };
//! assert!(refused.wait().is_some_and(|wait| wait <= Duration::from_secs(20)));
//!
//! breaker.health().reset();
//! assert_eq!(breaker.oneshot(Request::new(String::new())).await?.status(), 429);
//! # Ok(())
//! # }
//! ```
//!
//! # The states
//!
//! ```text
//!          enough failures           time is up          a trial succeeds         time passes
//!  ready ──────────────────▶ cooling ──────────▶ probing ────────────────▶ ramping ─────────▶ ready
//!                               ▲                   │                         │
//!                               └───────────────────┴── it fails again ───────┘
//! ```
//!
//! Time is read when a request comes, so there is no timer and no task. Results of requests begun before the deployment
//! was set aside do not count, but for one thing: a `Retry-After` later than the end that is set moves it. A caller that
//! goes away says nothing about a deployment, unless a whole window holds nothing but callers that went away before a
//! response came.
//!
//! What is judged is the end of the response *body*: one that breaks off is a failure, and a trial request of which only
//! the head has come still runs.

mod future;
mod layer;
mod policy;
mod service;
mod witness;

pub use self::future::ResponseFuture;
pub use self::layer::CooldownLayer;
pub use self::policy::CooldownPolicy;
pub use self::service::{Cooldown, ResponseBody};
pub use self::witness::Witness;
