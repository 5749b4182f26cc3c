use tiktoken_rs::{CoreBPE, bpe_for_model, o200k_base_singleton};
use tokio::runtime::Handle;

use super::{Count, Prompt, TokenCounter};

/// Counts the tokens of text as OpenAI's models do, by the vocabulary of the model; all else is guessed as
/// [`Estimate`](super::Estimate) does.
///
/// A model that is not known, or a group that has another name than its model, is counted by `o200k_base`, which the
/// newer models of OpenAI have. Other providers' models count otherwise: for Claude expect a fifth more.
///
/// A count takes about a tenth of a millisecond for each KiB, so a text of more than 8 KiB is counted on Tokio's threads
/// for blocking work, where there is a runtime, and the request waits for it. A vocabulary takes a fraction of a second
/// and some 50 MB when it is first used: [`warm`](Self::warm) does that ahead.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Tokenizer;

/// The longest text that is counted at once.
const INLINE: u64 = 8 * 1024;

/// A text is counted in pieces of this length, for the time a single word takes grows with its square. Each cut may
/// make a token more.
const PIECE: usize = 4 * 1024;

impl Tokenizer {
    /// Counts with the vocabularies that are built in.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// Loads the vocabulary of `model`; to be called on a thread that may block.
    pub fn warm(&self, model: &str) {
        vocabulary(model);
    }
}

impl TokenCounter for Tokenizer {
    fn count(&self, prompt: &Prompt) -> Count {
        if prompt.text_len() <= INLINE {
            return Count::Now(tokens(prompt));
        }
        let Ok(runtime) = Handle::try_current() else { return Count::Now(tokens(prompt)) };
        let prompt = prompt.clone();
        let counting = runtime.spawn_blocking(move || tokens(&prompt));
        Count::Later(Box::pin(async { counting.await.ok() }))
    }
}

fn vocabulary(model: &str) -> &'static CoreBPE {
    // A provider may stand before the name.
    let name = model.rsplit('/').next().unwrap_or(model);
    bpe_for_model(name).unwrap_or_else(|_| o200k_base_singleton())
}

fn tokens(prompt: &Prompt) -> u64 {
    let vocabulary = vocabulary(prompt.model());
    let mut tokens = prompt.tokens_beside_text();
    prompt.for_each_text(|text| {
        let mut rest = &*text;
        while !rest.is_empty() {
            let limit = rest.len().min(PIECE);
            // A character takes four bytes at most.
            let mut ends = (0..4).map(|back| limit.saturating_sub(back));
            let end = ends.find(|end| rest.is_char_boundary(*end)).unwrap_or(limit);
            let (piece, after) = rest.split_at(end);
            tokens += vocabulary.encode_ordinary(piece).len() as u64;
            rest = after;
        }
    });
    tokens
}
