use std::sync::Arc;

use super::{Edit, Endpoint, ModelSlot};
use crate::trail::Carried;

/// What the body of a request asks for, as [`Inspect`](super::Inspect) has read it: for the layers below that one.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// What the bodies look like; none where the path is none that is known.
    pub(crate) endpoint: Option<Endpoint>,
    /// Whether the response is wanted as a stream.
    pub(crate) stream: bool,
    /// Whether the caller wants the usage at the end of a stream (`stream_options.include_usage`).
    pub(crate) usage_wanted: bool,
    pub(crate) model_slot: ModelSlot,
    /// Whom the request is made for.
    pub(crate) user: Option<Arc<str>>,
    /// What no deployment is to see, in the order of the body; none overlaps the model's name.
    pub(crate) cuts: Vec<Edit>,
    /// What makes the body ask for the usage of its stream.
    pub(crate) want_usage: Edit,
}

impl Inspected {
    /// What was read of `request`, below an [`Inspect`](super::Inspect).
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Option<&Self> {
        Carried::of(request.extensions())?.inspected.as_deref()
    }

    /// What the bodies of the request and its response look like; none where the path is none that is known.
    #[must_use]
    pub const fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint
    }

    /// Whether the response is wanted as a stream.
    #[must_use]
    pub const fn stream(&self) -> bool {
        self.stream
    }

    /// Whom the caller makes the request for: OpenAI's `user`, Anthropic's `metadata.user_id`.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether the usage of the stream can be asked for, and the caller did not.
    pub(super) const fn can_add_usage(&self) -> bool {
        let has_the_option =
            matches!(self.endpoint, Some(Endpoint::ChatCompletions | Endpoint::Completions));
        self.stream && has_the_option && !self.usage_wanted
    }

    /// What to change of the body for a deployment, in the order of the body: `model` is its name for the model, as
    /// JSON, and `adds_usage` says whether to ask for the usage.
    pub(super) fn edits(&self, model: Option<&str>, adds_usage: bool) -> Vec<Edit> {
        let model = model.map(|name| self.model_slot.put(name));
        let usage = adds_usage.then(|| self.want_usage.clone());
        let mut edits = self.cuts.clone();
        edits.extend(model);
        edits.extend(usage);
        // What is put in where a cut begins goes before it; the model first.
        edits.sort_by_key(|edit| (edit.at.start, edit.at.end));
        edits
    }
}
