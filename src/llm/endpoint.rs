/// An endpoint of an inference API, by what its bodies look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/chat/completions`, of OpenAI and most others.
    ChatCompletions,
    /// `/completions`, the older one.
    Completions,
    /// `/embeddings`.
    Embeddings,
    /// `/responses`, OpenAI's newer one.
    Responses,
    /// `/messages`, Anthropic's.
    Messages,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: &'static [Self] = &[
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
    ];

    /// The endpoint a path ends in, whatever stands before it.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        // Among the paths that fit, `/chat/completions` is met before `/completions`.
        Self::ALL.iter().copied().find(|endpoint| path.ends_with(endpoint.path()))
    }

    /// Its path, without a version before it.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Responses => "/responses",
            Self::Messages => "/messages",
        }
    }
}
