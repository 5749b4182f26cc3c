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

/// The place in a body for the name of the model.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelSlot {
    pub(super) at: Range<usize>,
    before: &'static str,
    after: &'static str,
}

impl ModelSlot {
    /// In the place of the value of `model`, which is at `at`.
    pub(super) const fn of_value(at: Range<usize>) -> Self {
        Self { at, before: "", after: "" }
    }

    /// In an object without that member: as its first one, at `at`, with or without `others` behind it.
    pub(super) const fn missing(at: usize, others: bool) -> Self {
        Self { at: at..at, before: r#""model":"#, after: if others { "," } else { "" } }
    }

    /// Puts `name`, which is JSON, there.
    pub(super) fn put(&self, name: &str) -> Edit {
        let with = [self.before, name, self.after].concat();
        Edit { at: self.at.clone(), with: with.into() }
    }
}
