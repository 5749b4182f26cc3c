use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderName};

use super::{caller::digest, headers::Asked};
use crate::llm::peek::Peeked;

/// The longest key that is kept as it is; of a longer one the digest is.
const LONGEST: usize = 128;

/// Where to look for what requests have in common that are best served by the same deployment, see
/// [`InspectLayer::affinity`](super::InspectLayer::affinity).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AffinitySource {
    /// `previous_response_id`, of OpenAI's responses: becomes [`Demand::continues`](crate::Demand::continues). As nobody
    /// may know that answer any more, the sources after it are looked at too.
    PreviousResponse,
    /// The header `x-litellm-session-id`.
    SessionHeader,
    /// Another header with a session's id, as some clients send one. It stays on the request.
    Header(HeaderName),
    /// `prompt_cache_key`, a member of OpenAI's bodies. A [guess](crate::Demand::affinity_is_guess), as are those that
    /// follow.
    PromptCacheKey,
    /// The key of the caller, as in [`Demand::caller`](crate::Demand::caller). The member `user` is no such key, as in
    /// LiteLLM: who has it is one of many that share a prompt, or is named anew with each request.
    Caller,
    /// A hash of how the prompt begins, which is what the caches of providers go by: the first 4 KiB of the system's
    /// texts and of the messages, up to the user's first. None of less than 1 KiB.
    PromptOpening,
}

/// What a request is to be kept together by.
#[derive(Debug, Default)]
pub(super) struct Affinity {
    pub(super) continues: Option<Arc<str>>,
    pub(super) key: Option<Arc<str>>,
    pub(super) is_guess: bool,
}

impl AffinitySource {
    pub(super) const DEFAULT: &[Self] = &[Self::PreviousResponse, Self::SessionHeader];

    const fn is_guess(&self) -> bool {
        matches!(self, Self::PromptCacheKey | Self::Caller | Self::PromptOpening)
    }
}

impl Affinity {
    pub(super) fn of(
        sources: &[AffinitySource],
        peeked: &Peeked,
        asked: &Asked,
        headers: &HeaderMap,
        caller: Option<&Arc<str>>,
    ) -> Self {
        let mut found = Self::default();
        for source in sources {
            let key = match source {
                AffinitySource::PreviousResponse => {
                    found.continues = some(peeked.previous_response.as_deref()).map(Into::into);
                    continue;
                }
                AffinitySource::SessionHeader => asked.session.as_deref().map(short),
                AffinitySource::Header(name) => {
                    headers.get(name).and_then(|value| some(value.to_str().ok())).map(short)
                }
                AffinitySource::PromptCacheKey => {
                    some(peeked.prompt_cache_key.as_deref()).map(short)
                }
                AffinitySource::Caller => caller.map(|caller| Cow::Borrowed(&**caller)),
                AffinitySource::PromptOpening => {
                    peeked.opening.map(|hash| Cow::Owned(format!("{hash:016x}")))
                }
            };
            if let Some(key) = key {
                found.key = Some(key.into());
                found.is_guess = source.is_guess();
                break;
            }
        }
        found
    }
}

fn some(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn short(key: &str) -> Cow<'_, str> {
    if key.len() > LONGEST { Cow::Owned(digest(key.as_bytes())) } else { Cow::Borrowed(key) }
}
