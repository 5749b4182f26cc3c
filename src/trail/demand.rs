use std::sync::Arc;

use super::Carried;

/// What a request asks of a deployment, for strategies and limits to read. Everything is unset by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Demand {
    /// Estimated tokens of the input.
    pub input_tokens: Option<u64>,
    /// The most tokens the output may have, where the request says.
    pub output_tokens: Option<u64>,
    /// Whether the response is wanted as a stream.
    pub stream: bool,
    /// The path of the API that the request is for, such as `/chat/completions`, without a version before it.
    pub endpoint: Option<Arc<str>>,
    /// Whether there are images in the input.
    pub images: bool,
    /// Tags a deployment is to match; `!tag` is one it must not have, `&tag` one it must. See
    /// [`TagMatch`](crate::balance::TagMatch).
    pub tags: Vec<Arc<str>>,
    /// The region the request must stay in, or the area of several: `eu` has `eu-west-1` in it.
    pub region: Option<Arc<str>>,
    /// Requests with the same key are best served by the same deployment.
    pub affinity: Option<Arc<str>>,
    /// The key is a guess at who shares a provider's cache, such as the beginning of the prompt: it holds as long as that
    /// pays. Otherwise it names what belongs together, such as a session.
    pub affinity_is_guess: bool,
    /// The id of the answer that the request goes on from: only the deployment that gave it knows it.
    pub continues: Option<Arc<str>>,
    /// Lower goes first.
    pub priority: Option<i32>,
    /// Who asks, by a name that holds no secret: those who ask are served in turn where requests wait.
    pub caller: Option<Arc<str>>,
    /// The strategy the request is to be picked by, by its name, where the balance knows several.
    pub strategy: Option<Arc<str>>,
}

impl Demand {
    /// What `request` asks for, where something said so.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Option<&Self> {
        Carried::of(request.extensions())?.demand.as_deref()
    }

    /// Attaches this demand to `request`.
    pub fn set<B>(self, request: &mut http::Request<B>) {
        Carried::entry(request.extensions_mut()).demand = Some(Arc::new(self));
    }
}
