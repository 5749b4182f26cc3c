//! Knows what requests to inference APIs carry: which model they ask for, how much, and what comes back.
//!
//! [`Inspect`] reads the JSON body of a request in one pass: the model's name becomes the
//! [`GroupName`](crate::GroupName), and what it asks of a router goes with it as [`Demand`](crate::Demand),
//! [`Overrides`](crate::Overrides) and [`Fallbacks`](crate::Fallbacks). A [`TokenCounter`] says how long the input is.
//!
//! [`RewriteModel`], below a balance, prepares the body for the picked deployment: it puts the name under which that
//! [knows the model](crate::Deployment::model) in the place of the caller's and takes out what is for a router; the rest
//! goes on byte for byte and is not copied.
//!
//! [`Meter`], below a balance or alone, counts the tokens of the answers; what they cost is in a [`PriceList`].
//!
//! [`Verify`], right above the client of each deployment, finds out what a failed response means and whether a
//! successful one is what was asked for. Where requests go is up to an [`Upstream`](crate::upstream::Upstream), which has
//! constructors for the API of each [`Provider`].
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_fleet::{BoxError, Deployment, body::ReplayBody, fleet::FleetLayer, llm, upstream::Upstream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let echo = service_fn(|request: Request<llm::RewrittenBody<ReplayBody>>| async move {
//!     let sent = request.into_body().collect().await?.to_bytes();
//!     Ok::<_, BoxError>(Response::new(Full::new(sent)))
//! });
//! let fleet = FleetLayer::builder()
//!     .group("chat", [(Deployment::new("eu").model("gpt-4o-2024"), Upstream::new("https://eu.example/v1")?)])
//!     .attempt_layer(llm::RewriteModelLayer::new())
//!     .build()?;
//! let client = ServiceBuilder::new().layer(llm::InspectLayer::new()).layer(fleet).service(echo);
//!
//! let body = Full::new(Bytes::from(r#"{"model": "chat", "stream": false}"#));
//! let answer = client.oneshot(Request::post("/chat/completions").body(body)?).await?;
//! assert_eq!(answer.into_body().collect().await?.to_bytes(), r#"{"model": "gpt-4o-2024", "stream": false}"#);
//! # Ok(())
//! # }
//! ```

mod attempt;
mod content_type;
mod edit;
mod endpoint;
mod inspect;
mod inspected;
mod meaning;
mod meter;
mod peek;
mod price;
mod provider;
mod rewrite;
mod rewritten;
mod sse;
mod tokens;
mod verify;

pub use self::attempt::AttemptLayer;
use self::edit::{Edit, ModelSlot};
pub use self::endpoint::Endpoint;
pub use self::inspect::{AffinitySource, Inspect, InspectError, InspectLayer, ResponseFuture};
pub use self::inspected::Inspected;
pub use self::meter::{Meter, MeterFuture, MeterLayer, Metered, MeteredBody, OnUsage};
pub use self::price::{ListedModel, PriceList, PriceListError, PriceProblem};
pub use self::provider::Provider;
pub use self::rewrite::{RewriteModel, RewriteModelLayer};
pub use self::rewritten::RewrittenBody;
#[cfg(feature = "tokens")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokens")))]
pub use self::tokens::Tokenizer;
pub use self::tokens::{Count, Estimate, Prompt, TokenCounter};
pub use self::verify::{Verify, VerifyFuture, VerifyLayer};
