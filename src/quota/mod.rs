//! Quotas.
mod calendar;
mod money;
pub(crate) mod reported;
pub use self::calendar::Calendar;
