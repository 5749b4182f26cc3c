//! Whom a deployment's requests go to: provider, address, key, headers and model name.

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};

use super::{
    Secret, address,
    field::Field,
    provider::{Named, OPENAI},
    read::{At, Section},
};
use crate::llm::Provider;

/// The fields of the same names of [`DeploymentConfig`](super::DeploymentConfig).
#[derive(Default)]
pub(super) struct Upstream {
    pub(super) provider: Option<String>,
    pub(super) api: Provider,
    pub(super) model: String,
    pub(super) api_base: String,
    pub(super) api_version: Option<String>,
    pub(super) api_key: Option<Secret>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// What the file says, before the provider is known.
struct Given {
    api_base: Option<String>,
    key_given: bool,
    api_key: Option<Secret>,
}

const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");

/// What LiteLLM asks Azure for, where nothing says otherwise.
const AZURE_API_VERSION: &str = "2025-02-01-preview";

impl Upstream {
    /// Reads it from `litellm_params`. What could not be read is left empty and noted.
    pub(super) fn read(params: &mut Section<'_>, model_name: &str) -> Self {
        let given = Given {
            key_given: params.has("api_key"),
            api_key: params.take("api_key").and_then(|field| field.secret()),
            api_base: address::given(params),
        };
        let mut headers = headers(params);
        let organization = organization(params);
        let azure = (params.take("api_version"), params.take("azure_ad_token"));
        let custom = params.take("custom_llm_provider");
        let model = params.require("model", "the model's name upstream, such as `openai/gpt-4o`");
        let Some((field, model)) = model.and_then(|field| field.text().map(|text| (field, text)))
        else {
            return Self::default();
        };

        let (provider, name, model) = provider(custom.as_ref(), &model);
        if model.is_empty() {
            field.wrong("a model after the provider");
        }
        if model.contains('*') && !model_name.contains('*') {
            field.at.warn("holds `*`, but `model_name` has none that could stand for it");
        }
        let mut upstream = Self { model: model.to_owned(), ..Self::default() };
        match &provider {
            Named::Azure => {
                upstream.api_version = Some(api_version(azure.0.as_ref(), &params.at));
                let token = azure.1.as_ref().and_then(Field::secret);
                upstream.to_azure(given, token, &mut headers, &params.at);
            }
            _ => {
                for field in [&azure.0, &azure.1].into_iter().flatten() {
                    field.at.warn("not used: only `azure/` models have one");
                }
                upstream.to_others(given, &provider, name.as_deref(), &field, &params.at);
            }
        }
        let api = provider.api(&upstream.api_base);
        let organization = organization.or_else(|| {
            let variables: &[_] =
                if api == Provider::OpenAi { &["OPENAI_ORGANIZATION"] } else { &[] };
            secret_value(&address::of_variables(variables, &params.at)?.1)
        });
        if let Some(value) = organization {
            add(&mut headers, ORGANIZATION, value);
        }
        Self { provider: name, api, headers, ..upstream }
    }

    /// An address of one's own, which the environment may give, and either a key or a token.
    fn to_azure(
        &mut self,
        given: Given,
        token: Option<Secret>,
        headers: &mut Vec<(HeaderName, HeaderValue)>,
        at: &At<'_>,
    ) {
        const KEYS: &[&str] = &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"];
        let in_file = given.api_base.is_some();
        let base = given.api_base.or_else(|| address::of_environment(&["AZURE_API_BASE"], at));
        self.api_base = base.unwrap_or_else(|| {
            at.key("api_base").error(
                "missing, and so is environment variable AZURE_API_BASE: the address of your Azure resource",
            );
            String::new()
        });
        self.api_key = given.api_key;
        // Where the address is Azure's or the environment's own, so may the key be.
        let trusted = !in_file || address::is_azures(&self.api_base);
        if !given.key_given && token.is_none() && trusted {
            self.api_key = address::secret_of_environment(KEYS, at);
        }
        let token = token.or_else(|| {
            let wanted = self.api_key.is_none() && !given.key_given && trusted;
            wanted.then(|| address::secret_of_environment(&["AZURE_AD_TOKEN"], at)).flatten()
        });
        match (&self.api_key, token) {
            (None, Some(token)) => {
                if let Some(value) = secret_value(&format!("Bearer {}", token.expose())) {
                    add(headers, AUTHORIZATION, value);
                }
            }
            (None, None) if !given.key_given && trusted => warn_of_no_key(KEYS, at),
            _ => {}
        }
    }

    fn to_others(
        &mut self,
        given: Given,
        provider: &Named,
        name: Option<&str>,
        model: &Field<'_>,
        at: &At<'_>,
    ) {
        self.api_key = given.api_key;
        self.api_base = match (given.api_base, provider) {
            (Some(base), Named::Foreign) => {
                model.at.warn("the provider's own API is not spoken: requests have OpenAI's shape");
                base
            }
            (Some(base), _) => base,
            (None, Named::Hosted(hosted)) => {
                if !given.key_given {
                    self.api_key = address::secret_of_environment(hosted.key_variables, at);
                    if self.api_key.is_none() {
                        warn_of_no_key(hosted.key_variables, at);
                    }
                }
                address::of_environment(hosted.base_variables, at)
                    .unwrap_or_else(|| hosted.api_base.to_owned())
            }
            (None, _) => {
                let why = match (provider, name) {
                    (Named::Foreign, Some(name)) => format!("`{name}` has an API of its own"),
                    (_, Some(name)) => format!("`{name}` has no address of its own"),
                    (_, None) => {
                        format!("{} does not begin with a known provider", model.as_name())
                    }
                };
                at.key("api_base")
                    .error(format!("missing: {why}, so say where its API in OpenAI's shape is"));
                String::new()
            }
        };
    }
}

/// The provider, its name if it has one, and the model's name without it.
fn provider<'m>(custom: Option<&Field<'_>>, model: &'m str) -> (Named, Option<String>, &'m str) {
    if let Some((custom, name)) = custom.and_then(|field| Some((field, field.text()?))) {
        let prefix = model.split_once('/').filter(|(prefix, _)| *prefix == name);
        let model = prefix.map_or(model, |(_, model)| model);
        let provider = Named::named(&name).unwrap_or_else(|| {
            custom.at.warn("not a known provider: requests have OpenAI's shape");
            Named::Compatible
        });
        return (provider, Some(name), model);
    }
    match Named::split(model) {
        Some((provider, name, model)) => (provider, Some(name.to_owned()), model),
        // `meta-llama/Llama-3` is a model of whoever serves it, a bare `gpt-4o` one of OpenAI's.
        None if model.contains('/') => (Named::Compatible, None, model),
        None => (Named::Hosted(&OPENAI), None, model),
    }
}

fn api_version(given: Option<&Field<'_>>, at: &At<'_>) -> String {
    let version = given.and_then(Field::text);
    let version = version.or_else(|| Some(address::of_variables(&["AZURE_API_VERSION"], at)?.1));
    version.unwrap_or_else(|| AZURE_API_VERSION.to_owned())
}

/// The headers to send with each request, each once.
fn headers(params: &mut Section<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for key in ["extra_headers", "headers", "default_headers"] {
        let Some(field) = params.take(key) else { continue };
        for (name, field) in field.entries("a map from headers to values").unwrap_or_default() {
            let Ok(name) = name.parse::<HeaderName>() else {
                field.at.error("expected the name of a header");
                continue;
            };
            let Some(text) = field.text() else { continue };
            match secret_value(&text) {
                Some(value) => add(&mut headers, name, value),
                None => field.at.error("expected visible ASCII characters and spaces only"),
            }
        }
    }
    headers
}

/// Adds a header, unless it is there already.
fn add(headers: &mut Vec<(HeaderName, HeaderValue)>, name: HeaderName, value: HeaderValue) {
    if headers.iter().all(|(there, _)| *there != name) {
        headers.push((name, value));
    }
}

/// A value that `Debug` does not show.
fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok().filter(|_| text.is_ascii())?;
    value.set_sensitive(true);
    Some(value)
}

/// One organization; for a list of them LiteLLM makes deployments.
fn organization(params: &mut Section<'_>) -> Option<HeaderValue> {
    let field = params.take("organization")?;
    let field = if field.is_list() {
        let (at, mut list) = (field.at.clone(), field.list("a list")?);
        if list.len() > 1 {
            at.warn("only the first is used: make a deployment for each");
        }
        if list.is_empty() {
            return None;
        }
        list.swap_remove(0)
    } else {
        field
    };
    let value = secret_value(&field.text()?);
    if value.is_none() {
        field.at.error("expected visible ASCII characters only");
    }
    value
}

fn warn_of_no_key(variables: &[&str], at: &At<'_>) {
    at.key("api_key")
        .warn(format!("missing, and so is environment variable {}", variables.join(" or ")));
}
