//! Quotas.
pub(crate) mod reported;
