mod entry;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value;

use crate::deployment::Price;

/// What models cost and take, from a file of LiteLLM's format (`model_prices_and_context_window.json`).
///
/// The file is an object of models by name, such as `gpt-4o`, `azure/gpt-4o` or `anthropic/claude-sonnet-4-5`. A member
/// that is not read is passed over; one that is read and makes no sense is left out and becomes a
/// [problem](Self::problems), and the rest of the file holds. `sample_spec` is no model. Numbers may be texts.
///
/// # What is priced
///
/// Tokens: `input_cost_per_token`, `output_cost_per_token`, `cache_read_input_token_cost`,
/// `cache_creation_input_token_cost`, `output_cost_per_reasoning_token`, each also with `_above_200k_tokens` or another
/// number ([tiers](Price::tiers)), and `tiered_pricing`, which goes before those tiers. A model without a price for its
/// input or its output has none: it is unknown, not free. Only an embedding or a ranking, which has no output, needs no
/// price for it.
///
/// Not priced are images, audio, video, characters, seconds, pages, searches and tools (`input_cost_per_audio_token`,
/// `output_cost_per_image`, `input_cost_per_second`, `search_context_cost_per_query`, …), service tiers (`…_batches`,
/// `…_flex`, `…_priority`), `off_peak_pricing` and caches that last longer (`…_above_1hr`). An answer that had such things
/// is priced by its tokens at the plain rates all the same, and cost more or less than that.
///
/// ```
/// use tower_fleet::llm::PriceList;
///
/// let file = br#"{
///     "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05},
///     "groq/odd": {"litellm_provider": "groq", "input_cost_per_token": "cheap"}
/// }"#;
/// let prices = PriceList::from_slice(file)?;
///
/// let model = prices.get(Some("openai"), "gpt-4o").and_then(|model| model.price.as_ref());
/// assert_eq!(model.map(|price| price.input), Some(2.5e-06));
/// assert!(prices.get(Some("groq"), "gpt-4o").is_none());
/// assert_eq!(
///     prices.problems()[0].to_string(),
///     "groq/odd: input_cost_per_token: expected a number of at least 0",
/// );
/// # Ok::<_, tower_fleet::llm::PriceListError>(())
/// ```
#[derive(Clone, Default)]
pub struct PriceList {
    models: HashMap<Box<str>, ListedModel>,
    problems: Vec<PriceProblem>,
}

/// The real list has thousands of models.
impl fmt::Debug for PriceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (models, problems) = (self.models.len(), self.problems.len());
        f.debug_struct("PriceList").field("models", &models).field("problems", &problems).finish()
    }
}

/// What a [`PriceList`] says of a model.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ListedModel {
    /// What its tokens cost, where that is known.
    pub price: Option<Price>,
    /// The longest input it takes, in tokens. `max_input_tokens`.
    pub max_input_tokens: Option<u64>,
    /// The longest output it gives, in tokens. `max_output_tokens`, else `max_tokens`.
    pub max_output_tokens: Option<u64>,
    /// Whether it takes images. `supports_vision`.
    pub images: Option<bool>,
    /// What it is for, such as `chat` or `embedding`. `mode`.
    pub mode: Option<Arc<str>>,
    /// Who serves it. `litellm_provider`.
    pub provider: Option<Arc<str>>,
}

/// Something in a price file that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PriceProblem {
    /// The model it is said of.
    pub model: Box<str>,
    /// The member of the model; none where the whole of it was left out.
    pub key: Option<Box<str>>,
    /// What was expected there.
    pub message: &'static str,
}

impl PriceList {
    /// Reads a price file's content.
    ///
    /// # Errors
    ///
    /// [`PriceListError::Json`] where it is no JSON object.
    pub fn from_slice(file: &[u8]) -> Result<Self, PriceListError> {
        let mut json = serde_json::Deserializer::from_slice(file);
        let list = json.deserialize_map(Models).and_then(|list| json.end().map(|()| list));
        list.map_err(PriceListError::Json)
    }

    /// Reads a price file.
    ///
    /// # Errors
    ///
    /// [`PriceListError::Read`], and as [`from_slice`](Self::from_slice).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PriceListError> {
        let path = path.as_ref();
        let read = |source| PriceListError::Read { path: path.to_owned(), source };
        Self::from_slice(&fs::read(path).map_err(read)?)
    }

    /// What is said of `model` as `provider` serves it: of `provider/model`, and otherwise of `model`, unless that is
    /// another provider's. Without a provider only `model` is looked for, which may have one before it.
    ///
    /// This is how LiteLLM looks, but for the names it derives: a fine-tuned model (`ft:…`) or one with a region in its
    /// name has the price of none but itself.
    #[must_use]
    pub fn get(&self, provider: Option<&str>, model: &str) -> Option<&ListedModel> {
        let Some(provider) = provider else { return self.models.get(model) };
        let qualified = self.models.get(&*format!("{provider}/{model}"));
        qualified.into_iter().chain(self.models.get(model)).find(|listed| listed.is_of(provider))
    }

    /// How many models it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// What was left out, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[PriceProblem] {
        &self.problems
    }
}

impl ListedModel {
    /// Some providers stand in the file under several names (`vertex_ai-anthropic_models`, `bedrock_converse`,
    /// `text-completion-openai`).
    fn is_of(&self, provider: &str) -> bool {
        self.provider.as_deref().is_none_or(|listed| match listed.strip_prefix(provider) {
            Some(rest) => rest.is_empty() || rest.starts_with(['-', '_']),
            None => listed.strip_suffix(provider).is_some_and(|rest| rest.ends_with('-')),
        })
    }
}

/// Reads one model after the other: the whole file as a tree would take ten times what is kept of it.
struct Models;

impl<'de> Visitor<'de> for Models {
    type Value = PriceList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of models by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut file: A) -> Result<PriceList, A::Error> {
        let mut list = PriceList::default();
        let mut texts = Texts::default();
        while let Some((name, value)) = file.next_entry::<Box<str>, Value>()? {
            if &*name == "sample_spec" {
                continue;
            }
            let problems = &mut list.problems;
            if let Some(model) = entry::read(&name, &value, &mut texts, problems) {
                list.models.insert(name, model);
            }
        }
        list.models.shrink_to_fit();
        Ok(list)
    }
}

/// Texts that many models have in common.
#[derive(Default)]
struct Texts(HashSet<Arc<str>>);

impl Texts {
    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(there) = self.0.get(text) {
            return Arc::clone(there);
        }
        let text: Arc<str> = text.into();
        self.0.insert(Arc::clone(&text));
        text
    }
}

impl fmt::Display for PriceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.model)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(self.message)
    }
}

/// A price file that cannot be used at all.
#[derive(Debug)]
#[non_exhaustive]
pub enum PriceListError {
    /// The file cannot be read.
    Read {
        /// The path given.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// It is no JSON object.
    Json(serde_json::Error),
}

impl fmt::Display for PriceListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => write!(f, "cannot read {}", path.display()),
            Self::Json(_) => f.write_str("not a price file in LiteLLM's format"),
        }
    }
}

impl std::error::Error for PriceListError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Json(error) => Some(error),
        }
    }
}
