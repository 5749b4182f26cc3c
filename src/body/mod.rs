//! Bodies: requests that can be sent again, and responses that report how they ended or are kept for later.

mod hand_over;
mod kept;
mod replay;
mod watched;

pub(crate) use self::hand_over::HandOver;
pub use self::kept::KeptBody;
pub use self::replay::{NotReplayable, ReplayBody};
pub use self::watched::{End, OnEnd, WatchedBody};
