//! How many tokens the input of a request has.

use std::{fmt, future::Future, pin::Pin};

pub use self::prompt::Prompt;
pub(super) use self::prompt::Totals;
#[cfg(feature = "tokens")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokens")))]
pub use self::tokenizer::Tokenizer;

mod prompt;
#[cfg(feature = "tokens")]
mod tokenizer;

/// Counts the tokens of the input of a request, for [`Demand::input_tokens`](crate::Demand::input_tokens).
///
/// [`Estimate`] is the one an [`Inspect`](super::Inspect) has by default. A closure of a [`Prompt`] that returns a
/// number is a counter too.
pub trait TokenCounter: Send + Sync {
    /// Counts the tokens of `prompt`. What takes long belongs into a [`Count::Later`].
    fn count(&self, prompt: &Prompt) -> Count;
}

impl<F> TokenCounter for F
where
    F: Fn(&Prompt) -> u64 + Send + Sync,
{
    fn count(&self, prompt: &Prompt) -> Count {
        Count::Now(self(prompt))
    }
}

/// What a [`TokenCounter`] says.
#[non_exhaustive]
pub enum Count {
    /// So many tokens.
    Now(u64),
    /// As many as this finds; none where that fails. The request waits for it.
    Later(Pin<Box<dyn Future<Output = Option<u64>> + Send>>),
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(tokens) => f.debug_tuple("Now").field(tokens).finish(),
            Self::Later(_) => f.debug_tuple("Later").finish_non_exhaustive(),
        }
    }
}

/// Counts four bytes of text as a token, which costs nothing beyond reading the body.
///
/// Four characters are OpenAI's rule of thumb for English; a message of a chat takes four tokens more, and the start of
/// the answer three, as in OpenAI's cookbook. Token ids count as they are. An image is taken for 765 tokens, which is
/// one of 1024 × 1024 pixels in OpenAI's older models; any other file likewise. The base64 text of either is not
/// counted.
///
/// It is an estimate. Against `o200k_base`, English prose, Markdown and source code come out within a few percent,
/// Chinese, Japanese and Korean within a tenth, German a sixth too high and Russian more than twice too high; JSON full
/// of numbers, and hashes, a third too low or more. An image may be off by the factor of two or more, a document by far
/// more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Estimate;

const BYTES_IN_A_TOKEN: u64 = 4;

impl TokenCounter for Estimate {
    fn count(&self, prompt: &Prompt) -> Count {
        Count::Now(prompt.text_len().div_ceil(BYTES_IN_A_TOKEN) + prompt.tokens_beside_text())
    }
}

#[cfg(test)]
mod tests;
