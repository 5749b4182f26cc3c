use std::fmt;

use crate::{BoxError, Error};

/// A request that does not say what it asks for. Comes inside [`Error::Service`].
///
/// All but [`Body`](Self::Body) are the caller's to mend: a `400`, or a `413` where the body is too long.
#[derive(Debug)]
#[non_exhaustive]
pub enum InspectError {
    /// The body is not JSON, or not an object.
    NotJson {
        /// What is wrong, and where.
        reason: String,
    },
    /// A member of the body that is read, or a header in its stead, is not what it must be.
    #[non_exhaustive]
    Member {
        /// The member, or the header.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The body names no model, and no layer above a group.
    NoModel,
    /// The body is longer than is read.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body broke off.
    Body(BoxError),
}

impl InspectError {
    /// The inspection's error inside `error`, if that is what failed.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        match error {
            Error::Service(inner) => inner.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { reason } => write!(f, "the request body is not valid JSON: {reason}"),
            Self::Member { name, reason } => write!(f, "{name}: {reason}"),
            Self::NoModel => f.write_str("`model` is missing: it must be a string"),
            Self::TooLarge { limit } => write!(f, "the request body is longer than {limit} bytes"),
            Self::Body(_) => f.write_str("the request body broke off"),
        }
    }
}

impl std::error::Error for InspectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Body(error) => Some(&**error),
            _ => None,
        }
    }
}
