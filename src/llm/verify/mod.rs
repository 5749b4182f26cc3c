//! Whether a response is what was asked for, and what it means when it is not.

mod future;
mod held;
mod layer;
mod opening;
mod reading;
mod service;

pub use self::future::VerifyFuture;
pub use self::layer::VerifyLayer;
pub use self::service::Verify;
