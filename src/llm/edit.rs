use std::ops::Range;

use bytes::Bytes;

/// A stretch of a body and what comes in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(super) at: Range<usize>,
    pub(super) with: Bytes,
}

impl Edit {
    pub(super) const fn new(at: Range<usize>, with: &'static str) -> Self {
        Self { at, with: Bytes::from_static(with.as_bytes()) }
    }

    pub(super) const fn cut(at: Range<usize>) -> Self {
        Self::new(at, "")
    }
}
