//! Tower layers that send HTTP requests across a fleet of interchangeable deployments.

pub mod balance;
pub mod body;
#[cfg(feature = "config")]
pub mod config;
pub mod cooldown;
pub mod deployment;
pub mod error;
pub mod fallback;
pub mod fleet;
#[cfg(feature = "llm")]
pub mod llm;
pub mod outcome;
pub mod retry;
mod sync;
pub mod timeout;
pub mod trail;
pub mod upstream;

pub use self::{
    deployment::Deployment,
    error::{BoxError, Error},
    trail::{Attempt, Captured, Demand, Fallbacks, GroupName, Served, Trail},
};
