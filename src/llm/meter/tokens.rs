use super::json::Cursor;
use crate::deployment::Usage;

/// About how many bytes of text make a token: what English takes with the tokenizers in use.
const BYTES_OF_TOKEN: u64 = 4;

/// What a provider told of an answer's tokens so far, under the names that are in use. What is told later goes before
/// what was told earlier, member by member.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    input: Option<u64>,
    /// The input leaves out what came from a cache or went to it. Anthropic's way.
    input_is_rest: bool,
    cached: Option<u64>,
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
    /// Input and output together.
    total: Option<u64>,
}

impl Told {
    /// Reads a `usage` object: whether it told anything.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) -> Option<bool> {
        let mut any = false;
        cursor.members(|name, cursor| {
            let place = match name {
                b"prompt_tokens" | b"input_tokens" => &mut self.input,
                b"completion_tokens" | b"output_tokens" => &mut self.output,
                b"total_tokens" => &mut self.total,
                b"prompt_cache_hit_tokens" => &mut self.cached,
                b"cache_read_input_tokens" => &mut self.cache_read,
                b"cache_creation_input_tokens" => &mut self.cache_written,
                b"prompt_tokens_details" | b"input_tokens_details" => {
                    return details(cursor, b"cached_tokens", &mut self.cached);
                }
                b"completion_tokens_details" | b"output_tokens_details" => {
                    return details(cursor, b"reasoning_tokens", &mut self.reasoning);
                }
                _ => return cursor.skip(),
            };
            if cursor.count(place)? {
                any |= name != b"total_tokens";
                match name {
                    b"prompt_tokens" => self.input_is_rest = false,
                    b"input_tokens" => self.input_is_rest = true,
                    _ => {}
                }
            }
            Some(())
        })?;
        Some(any)
    }

    /// Reasoning that the output leaves out: xAI's way, and Gemini's, whose compatible endpoint does not even name it.
    fn reasoning_apart(&self) -> Option<u64> {
        let beyond = self.total?.checked_sub(self.input?)?.checked_sub(self.output?)?;
        (beyond > 0 && self.reasoning.is_none_or(|reasoning| reasoning == beyond)).then_some(beyond)
    }
}

/// Reads the one member that is `wanted` of an object into `place`.
fn details(cursor: &mut Cursor<'_>, wanted: &[u8], place: &mut Option<u64>) -> Option<()> {
    cursor.members(
        |name, cursor| {
            if name == wanted { cursor.count(place).map(drop) } else { cursor.skip() }
        },
    )
}

/// The tokens of one answer, as far as it has passed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) told: Told,
    /// The provider has told the tokens of all the text so far.
    pub(super) settled: bool,
    /// Bytes of output that the provider has not told the tokens of.
    pub(super) text: u64,
    /// What came was an answer of a model.
    pub(super) recognized: bool,
}

impl Tally {
    /// Enters that the provider has told the tokens of everything so far.
    pub(super) fn settle(&mut self, told: Told) {
        *self = Self { told, settled: true, text: 0, recognized: true };
    }

    /// Enters output that has passed.
    pub(super) fn add_text(&mut self, bytes: u64) {
        if bytes > 0 {
            self.text = self.text.saturating_add(bytes);
            self.settled = false;
        }
    }

    /// What the provider told, and an estimate of what it did not; `input` is the estimate for that. None where
    /// nothing that came was an answer of a model, or nothing at all is known of it.
    pub(super) fn usage(&self, input: Option<u64>) -> Option<Usage> {
        let known = self.settled || self.text > 0 || self.told.input.or(input).is_some();
        if !self.recognized || !known {
            return None;
        }
        let told = &self.told;
        let read = told.cache_read.unwrap_or(0);
        let written = told.cache_written.unwrap_or(0);
        let apart = if told.input_is_rest { read.saturating_add(written) } else { 0 };
        let told_input = told.input.map(|input| input.saturating_add(apart));
        let estimate = self.text.div_ceil(BYTES_OF_TOKEN);
        let reasoning_apart = told.reasoning_apart();
        let output = told.output.unwrap_or(0).saturating_add(reasoning_apart.unwrap_or(0));
        Some(Usage {
            input: told_input.or(input).unwrap_or(0),
            cached: told.cached.unwrap_or(read),
            cache_written: written,
            output: output.saturating_add(estimate),
            reasoning: told.reasoning.or(reasoning_apart).unwrap_or(0),
            estimated: !self.settled,
        })
    }
}
