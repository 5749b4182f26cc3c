#![cfg_attr(docsrs, feature(doc_cfg))]

//! Tower layers that send HTTP requests across a fleet of interchangeable deployments.
//!
//! For services that call inference APIs through several keys, regions and providers, and for any replicated HTTP or
//! gRPC backend. Each layer is usable alone, over any `Service<http::Request<B>, Response = http::Response<R>>`, and
//! stacks with Tower's own.
//!
//! ```text
//!  request                                                          response
//!     │   Fallback    another group, when this one cannot serve         ▲
//!     │   Retry       another deployment of the group                   │
//!     │   Fleet       the group the request names                       │
//!     │   Balance     picks, takes a place ──── held by the ────────────┤
//!     │  ── per deployment ──                   response body           │
//!     │   Cooldown    judges how the attempt ended                      │
//!     │   Timeout     limits the attempt                                │
//!     ▼   Upstream    base URL, headers, key                            │
//!   any Service<http::Request<B>, Response = http::Response<R>> ────────┘
//! ```
//!
//! | layer | what it does | alone |
//! |---|---|---|
//! | [`balance`] | sends each request to one of several deployments: by load, latency, cost, limits or what it belongs to; or lets it wait | balances |
//! | [`cooldown`] | sets a deployment aside when it fails, brings it back with care | a circuit breaker |
//! | [`retry`] | sends a failed request again, to another deployment first | retries |
//! | [`fallback`] | sends it to another group, or another service | falls back to a service |
//! | [`timeout`] | limits each attempt, within the deadline of the request | a time limit |
//! | [`upstream`] | base URL and headers of a deployment | a base URL for a client |
//! | [`fleet`] | groups by name, aliases, wildcards; all of it as one layer | routes by name |
//! | `llm` | reads requests to inference APIs and fits them to deployments, judges and counts the answers | each of them |
//!
//! [Limits](quota) of requests, tokens and money are no layer: they are part of the pick, whatever the strategy, so a
//! deployment that has had its share is passed over and its sibling answers. Why a request went where it went,
//! [`Trail::explain`] tells.
//!
//! # Example
//!
//! Three layers over one client that can reach any host:
//!
//! ```
//! use tower::{ServiceBuilder, service_fn};
//! use tower_fleet::{
//!     BoxError, Deployment,
//!     balance::{BalanceLayer, LeastBusy},
//!     cooldown::CooldownLayer,
//!     retry::{RetryLayer, RetryPolicy},
//!     upstream::Upstream,
//! };
//!
//! # fn main() -> Result<(), BoxError> {
//! # let client = service_fn(|_: http::Request<tower_fleet::body::ReplayBody>| async {
//! #     Ok::<_, BoxError>(http::Response::new(String::new()))
//! # });
//! let service = ServiceBuilder::new()
//!     .layer(RetryLayer::new(RetryPolicy::any_method().attempts(3)))
//!     .layer(BalanceLayer::new(LeastBusy, [
//!         (Deployment::new("eu"), Upstream::new("https://eu.example/v1")?),
//!         (Deployment::new("us").weight(2), Upstream::new("https://us.example/v1")?.header("api-key", "secret")?),
//!     ]))
//!     .layer(CooldownLayer::default())
//!     .service(client);
//! # let _ = service;
//! # Ok(())
//! # }
//! ```
//!
//! # How the layers know of each other
//!
//! They do not: a few plain values travel with the request and the response ([`trail`]), and any other Tower layer may
//! stand in between. A balance puts an [`Attempt`] on the request, so a layer below knows the deployment; a [`Trail`],
//! made by the outermost layer that needs one, collects the attempts, so the next pick passes over what was tried;
//! [`Served`] on the response says who answered. What a response or an error *means* is one question with one answer,
//! an [`Outcome`](outcome::Outcome), which a [classifier](outcome::Classify) of yours can give.
//!
//! All layers have one [`Error`], which does not nest. Every response body of a balance or a cooldown must be read or
//! dropped for its place to be free: that is what makes the counts true.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `llm` | `llm`: what requests to inference APIs carry and what comes back, upstreams of their providers, prices |
//! | `tokens` | `llm::Tokenizer`: inputs counted with OpenAI's own vocabularies |
//! | `config` | `config`: LiteLLM's YAML files, and `FleetLayer::from_yaml` |
//! | `hyper` | what the errors of hyper, hyper-util and h2 say about whether a request was sent |
//!
//! None is on by default. Time is `tokio::time`, so tests can pause it; nothing spawns a task.

pub mod balance;
pub mod body;
mod civil;
#[cfg(feature = "config")]
#[cfg_attr(docsrs, doc(cfg(feature = "config")))]
pub mod config;
pub mod cooldown;
pub mod deployment;
pub mod error;
pub mod fallback;
pub mod fleet;
mod hash;
#[cfg(feature = "llm")]
#[cfg_attr(docsrs, doc(cfg(feature = "llm")))]
pub mod llm;
pub mod outcome;
pub mod quota;
pub mod retry;
mod sync;
pub mod timeout;
pub mod trail;
pub mod upstream;

pub use self::{
    deployment::Deployment,
    error::{BoxError, Error},
    trail::{Attempt, Captured, Demand, Fallbacks, GroupName, Overrides, Served, Trail},
};
