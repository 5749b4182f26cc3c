use std::ops::Range;

use super::Endpoint;

/// What the body of a request asks for, and where in it: for the layers of this room below [`Inspect`](super::Inspect).
#[derive(Clone, Debug)]
pub(crate) struct Inspected {
    /// What the bodies look like; none where the path is none that is known.
    pub(crate) endpoint: Option<Endpoint>,
    /// Whether the response is wanted as a stream.
    pub(crate) stream: bool,
    /// Whether the caller wants the usage at the end of a stream (`stream_options.include_usage`).
    pub(crate) usage_wanted: bool,
    /// Where the JSON string of the model's name stands, quotes included.
    pub(crate) model_at: Range<usize>,
}

impl Inspected {
    /// Whether the usage at the end of the stream is there because we asked for it, and not the caller.
    pub(crate) fn usage_is_added(&self) -> bool {
        let tells =
            matches!(self.endpoint, Some(Endpoint::ChatCompletions | Endpoint::Completions));
        self.stream && tells && !self.usage_wanted
    }
}
