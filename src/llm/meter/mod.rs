//! Counts what answers take, as they pass.

mod answerer;
mod body;
mod document;
mod errors;
mod events;
mod json;
mod report;
mod service;
mod stream;
mod tokens;

pub use self::body::MeteredBody;
pub use self::report::{Metered, OnUsage};
pub use self::service::{Meter, MeterFuture, MeterLayer};
