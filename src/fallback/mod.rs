//! Sends a request to another group of deployments when its own cannot serve it.
//!
//! [`Fallback`] gives the request another [`GroupName`](crate::GroupName) and calls the service below again, which
//! routes by that name ([`Fleet`](crate::fleet::Fleet)). A [`FallbackPlan`] says which groups, by kind of failure; a
//! request may bring [its own list](crate::Fallbacks). Where there are no groups, [`FallbackTo`] falls back to another
//! *service*.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Empty;
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_fleet::{GroupName, Trail, fallback::{FallbackLayer, FallbackPlan}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_fleet::Error> {
//! let groups = service_fn(|request: Request<_>| async move {
//!     let up = GroupName::of(&request).is_some_and(|group| group.as_str() == "small");
//!     let mut response = Response::new(Empty::<Bytes>::new());
//!     *response.status_mut() = if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
//!     Ok::<_, Infallible>(response)
//! });
//! let plan = FallbackPlan::new().group("large", ["small"]);
//! let client = FallbackLayer::new(plan).layer(groups);
//!
//! let mut request = Request::new(Empty::<Bytes>::new());
//! GroupName::new("large").set(&mut request);
//! let trail = Trail::start(&mut request);
//! assert_eq!(client.oneshot(request).await?.status(), 200);
//! assert_eq!(trail.fallbacks(), [GroupName::new("small")]);
//! # Ok(())
//! # }
//! ```
//!
//! # The walk
//!
//! The targets of the group that failed go first, then what was left of the list before. No group is tried twice, so a
//! cycle ends, and [`max_fallbacks`](FallbackPlan::max_fallbacks) bounds how many are tried, whatever the lists nest; a
//! target that no group [is named](crate::error::RefusedReason::UnknownGroup) is passed over and not counted. When all
//! fail, the caller sees the answer of the group it asked for; the [`Trail`](crate::Trail) has the others.
//!
//! While there is somewhere else to go, the layers below know it, by kind of failure: a retry does not ask the same
//! deployment again, and a balance refuses rather than ask one that is set aside. A request that the pick already finds
//! too long for its group goes to the list for [`ContextWindow`](crate::outcome::FailureKind::ContextWindow) with nothing
//! sent.
//!
//! The request body must be replayable, as for a [retry](crate::retry); both record it once, together.

mod future;
mod layer;
mod plan;
mod service;
mod to;

pub use self::future::ResponseFuture;
pub use self::layer::FallbackLayer;
pub use self::plan::FallbackPlan;
pub use self::service::Fallback;
pub use self::to::{FallbackTo, FallbackToLayer, ToFuture};
