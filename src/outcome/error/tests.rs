use std::fmt;

use super::*;
use crate::error::{Refused, RefusedReason, TimedOut};
use crate::outcome::Sent;
use FailureKind as K;

#[cfg(feature = "hyper")]
mod loopback;

/// A foreign error around another.
#[derive(Debug)]
struct Wrap(Box<dyn StdError + Send + Sync>);

impl fmt::Display for Wrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrapped")
    }
}

impl StdError for Wrap {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

fn verdict(error: &(dyn StdError + 'static)) -> (FailureKind, Sent) {
    let failure = Failure::from_error(error);
    (failure.kind(), failure.sent())
}

#[test]
fn every_error_of_the_system_has_its_kind() {
    for (kind, expected) in [
        (ErrorKind::ConnectionRefused, (K::Connect, Sent::No)),
        (ErrorKind::AddrNotAvailable, (K::Connect, Sent::No)),
        (ErrorKind::AddrInUse, (K::Connect, Sent::No)),
        (ErrorKind::HostUnreachable, (K::Connect, Sent::Maybe)),
        (ErrorKind::NetworkUnreachable, (K::Connect, Sent::Maybe)),
        (ErrorKind::ConnectionReset, (K::Connect, Sent::Maybe)),
        (ErrorKind::ConnectionAborted, (K::Connect, Sent::Maybe)),
        (ErrorKind::BrokenPipe, (K::Connect, Sent::Maybe)),
        (ErrorKind::UnexpectedEof, (K::Connect, Sent::Maybe)),
        (ErrorKind::Other, (K::Connect, Sent::Maybe)),
        (ErrorKind::TimedOut, (K::Timeout, Sent::Maybe)),
    ] {
        assert_eq!(verdict(&io::Error::from(kind)), expected, "{kind:?}");
    }
}

#[test]
fn our_own_errors_are_found_however_deep() {
    let refused = || Error::Refused(Refused::new(RefusedReason::Full));
    let timeout = || Error::TimedOut(TimedOut::new(std::time::Duration::from_secs(1)));
    assert_eq!(verdict(&refused()), (K::Refused, Sent::No));
    assert_eq!(verdict(&timeout()), (K::Timeout, Sent::Maybe));
    let truncated = Error::Truncated(io::Error::from(ErrorKind::ConnectionRefused).into());
    assert_eq!(verdict(&truncated), (K::Truncated, Sent::Maybe));

    let nested = Wrap(Box::new(Error::Service(Box::new(Wrap(Box::new(refused()))))));
    assert_eq!(verdict(&nested), (K::Refused, Sent::No));
    let nested = Error::Service(Box::new(Error::Service(Box::new(Wrap(Box::new(timeout()))))));
    assert_eq!(verdict(&nested), (K::Timeout, Sent::Maybe));
}

#[test]
fn an_error_wrapped_by_an_io_error_is_found() {
    let hidden =
        io::Error::other(io::Error::other(Error::Refused(Refused::new(RefusedReason::Full))));
    assert_eq!(verdict(&Wrap(Box::new(hidden))), (K::Refused, Sent::No));
}

#[test]
fn the_outermost_known_error_decides() {
    let error =
        io::Error::new(ErrorKind::TimedOut, Error::Refused(Refused::new(RefusedReason::Full)));
    assert_eq!(verdict(&error), (K::Timeout, Sent::Maybe));
}

#[test]
fn an_unknown_error_may_have_been_sent() {
    assert_eq!(verdict(&Wrap("what is this?".into())), (K::Connect, Sent::Maybe));
}
