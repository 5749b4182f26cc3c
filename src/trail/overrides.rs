use std::{sync::Arc, time::Duration};

use super::Carried;

/// What a request asks of layers in place of what their policies say. Everything is unset by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overrides {
    /// How many retries the request may have. LiteLLM's `num_retries`.
    pub retries: Option<u32>,
    /// How long each attempt may take until its response head. LiteLLM's `timeout`.
    pub timeout: Option<Duration>,
    /// The same, where the response is wanted as a stream. LiteLLM's `stream_timeout`.
    pub stream_timeout: Option<Duration>,
}

impl Overrides {
    /// What `request` asks for, where something said so.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Option<&Self> {
        Carried::of(request.extensions())?.overrides.as_deref()
    }

    /// Attaches this to `request`.
    pub fn set<B>(self, request: &mut http::Request<B>) {
        Carried::entry(request.extensions_mut()).overrides = Some(Arc::new(self));
    }
}
