use std::{borrow::Cow, fmt, str};

use bytes::Bytes;

use crate::llm::peek;

const TOKENS_OF_A_MESSAGE: u64 = 4;
const TOKENS_BEFORE_THE_ANSWER: u64 = 3;
const TOKENS_OF_AN_ATTACHMENT: u64 = 765;

/// The input of a request: what there is to count. Cheap to clone.
#[derive(Clone)]
pub struct Prompt {
    body: Bytes,
    model: String,
    totals: Totals,
}

/// What was met in the prompt of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::llm) struct Totals {
    /// Of text.
    pub(in crate::llm) bytes: u64,
    /// Token ids.
    pub(in crate::llm) ids: u64,
    pub(in crate::llm) messages: u64,
    /// Parts that say they are an image.
    pub(in crate::llm) image_parts: u64,
    /// Images whose data are there, mostly in such a part.
    pub(in crate::llm) image_data: u64,
    /// Other files whose data are there.
    pub(in crate::llm) files: u64,
}

impl Totals {
    pub(in crate::llm) fn images(&self) -> u64 {
        self.image_parts.max(self.image_data)
    }
}

impl Prompt {
    pub(in crate::llm) const fn new(body: Bytes, model: String, totals: Totals) -> Self {
        Self { body, model, totals }
    }

    /// The model as the caller names it, which may be the name of a group.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The bytes of all texts; escapes are counted about as what they mean.
    #[must_use]
    pub const fn text_len(&self) -> u64 {
        self.totals.bytes
    }

    /// How many messages there are, or parts of an input that is no chat.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.totals.messages
    }

    /// How many images there are, as data or as a link.
    #[must_use]
    pub fn images(&self) -> u64 {
        self.totals.images()
    }

    /// How many other files there are as data, such as documents and sound.
    #[must_use]
    pub const fn files(&self) -> u64 {
        self.totals.files
    }

    /// How many tokens are given as their numbers.
    #[must_use]
    pub const fn token_ids(&self) -> u64 {
        self.totals.ids
    }

    /// A guess at the tokens of all that is not text, see [`Estimate`](super::Estimate).
    #[must_use]
    pub fn tokens_beside_text(&self) -> u64 {
        let chat = match self.totals.messages {
            0 => 0,
            messages => messages * TOKENS_OF_A_MESSAGE + TOKENS_BEFORE_THE_ANSWER,
        };
        let attachments = self.images() + self.files();
        self.token_ids() + chat + attachments * TOKENS_OF_AN_ATTACHMENT
    }

    /// Hands each text to `each`: of the messages, the input, the instructions; and the definitions of the tools, as
    /// JSON. Reads the body anew.
    pub fn for_each_text<'a>(&'a self, each: impl FnMut(Cow<'a, str>)) {
        peek::for_each_text(str::from_utf8(&self.body).unwrap_or_default(), each);
    }
}

/// Leaves out what the prompt says.
impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt")
            .field("model", &self.model)
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}
