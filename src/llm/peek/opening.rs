//! How a prompt begins.

use super::scan::Literal;
use crate::hash::hash;

/// A shorter beginning, in bytes, tells too little about who shares it.
const LEAST: usize = 1024;
/// About what must be the same for a provider to have it in its cache: 1,024 tokens.
const MOST: usize = 4096;

/// The texts with which the prompt begins: in each member that has some, all up to the end of the user's first message.
/// That stays the same while a conversation grows.
#[derive(Debug, Default)]
pub(super) struct Opening {
    hash: u64,
    /// Bytes still wanted.
    wanted: usize,
    /// The message under way is the user's.
    of_user: bool,
    over: bool,
}

impl Opening {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted: if wanted { MOST } else { 0 }, ..Self::default() }
    }

    /// A member begins.
    pub(super) const fn member(&mut self) {
        (self.of_user, self.over) = (false, false);
    }

    /// A message begins.
    pub(super) const fn message(&mut self) {
        self.over |= self.of_user;
    }

    pub(super) fn role(&mut self, role: Literal<'_>) {
        self.of_user |= role.raw == "user";
    }

    pub(super) fn text(&mut self, text: Literal<'_>) {
        if self.wanted == 0 || self.over {
            return;
        }
        let text = text.raw.as_bytes();
        let text = &text[..text.len().min(self.wanted)];
        self.wanted -= text.len();
        self.hash = hash(self.hash, text);
    }

    /// Its hash, where it is wanted and long enough.
    pub(super) fn finish(&self, wanted: bool) -> Option<u64> {
        (wanted && MOST - self.wanted >= LEAST).then_some(self.hash)
    }
}
