//! Groups of deployments by name, and the canonical stack over them.
//!
//! A [`Fleet`] sends each request to the service of the group it names ([`GroupName`](crate::GroupName)). Names are
//! matched in this order: an alias, a group of exactly that name, the most specific pattern (`openai/*`; a `*` stands
//! for anything, the rest must match from the first character to the last). A request without a name goes to the only
//! group, if there is just one. For an unknown name the request is refused.
//!
//! [`FleetLayer`] is everything together, over one client that can reach any host:
//!
//! ```text
//! Fallback ▸ Retry ▸ Fleet ▸ Balance ▸ Cooldown ▸ Timeout ▸ (a layer of yours) ▸ Upstream ▸ client
//! ```
//!
//! ```
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use http_body_util::Empty;
//! use bytes::Bytes;
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_fleet::{BoxError, Deployment, GroupName, balance::LeastBusy, fallback::FallbackPlan, fleet::FleetLayer, upstream::Upstream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # let client = service_fn(|request: Request<_>| async move {
//! #     Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
//! # });
//! let fleet = FleetLayer::builder()
//!     .group("chat", [
//!         (Deployment::new("eu"), Upstream::new("https://eu.example/v1")?),
//!         (Deployment::new("us"), Upstream::new("https://us.example/v1")?),
//!     ])
//!     .group("small", [(Deployment::new("local"), Upstream::new("http://127.0.0.1:8000/v1")?)])
//!     .alias("gpt-4o", "chat")
//!     .strategy(LeastBusy)
//!     .fallback(FallbackPlan::new().group("chat", ["small"]))
//!     .build()?
//!     .layer(client);
//!
//! let mut request = Request::post("/chat/completions").body(Empty::<Bytes>::new())?;
//! GroupName::new("gpt-4o").set(&mut request);
//! assert!(fleet.oneshot(request).await?.status().is_success());
//! # Ok(())
//! # }
//! ```

mod builder;
mod future;
mod layer;
mod service;

pub use self::builder::{FleetBuilder, FleetError};
pub use self::future::ResponseFuture;
pub use self::layer::{FleetLayer, Group, GroupService, Stack};
pub use self::service::Fleet;
#[cfg(feature = "config")]
pub(crate) use crate::trail::Pattern;
