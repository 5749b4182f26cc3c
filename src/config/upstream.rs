//! Whom a deployment's requests go to: provider, address, key, headers and model name.

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};

use super::{
    Secret, address,
    field::Field,
    provider::Named,
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

/// What the file says of address and key.
struct Given {
    base: Option<String>,
    key: Option<Secret>,
    /// There is a key in the file, be it empty: none of the environment takes its place.
    has_key: bool,
}

const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");

/// What LiteLLM asks Azure for, where nothing says otherwise.
const AZURE_API_VERSION: &str = "2025-02-01-preview";

impl Upstream {
    /// Reads it from `litellm_params`. What could not be read is left empty and noted; `None`, with a warning, where
    /// nobody says where its requests could go.
    pub(super) fn read(params: &mut Section<'_>, model_name: &str) -> Option<Self> {
        let given = Given {
            has_key: params.has("api_key"),
            key: params.take("api_key").and_then(|field| field.secret()),
            base: address::given(params),
        };
        let mut headers = headers(params);
        let organization = organization(params);
        let (version, token) = (params.take("api_version"), params.take("azure_ad_token"));
        let custom = params.take("custom_llm_provider");
        let model = params.require("model", "the model's name upstream, such as `openai/gpt-4o`");
        let Some((field, model)) = model.and_then(|field| field.text().map(|text| (field, text)))
        else {
            return Some(Self::default());
        };

        let at = &params.at;
        let (provider, name, model) = provider(custom.as_ref(), &model, given.base.is_some());
        if model.is_empty() {
            field.wrong("a model after the provider");
        }
        if model.contains('*') && !model_name.contains('*') {
            field.at.warn("holds `*`, but `model_name` has none that could stand for it");
        }
        let is_azure = matches!(provider, Named::Azure);
        let (api_base, api_key) = if is_azure {
            let token = token.as_ref().and_then(azure_token);
            let (base, key, token) = azure(given, token, at);
            let token = token.and_then(|it| secret_value(&format!("Bearer {}", it.expose())));
            add(&mut headers, AUTHORIZATION, token);
            (base, key)
        } else {
            for field in [&version, &token].into_iter().flatten() {
                field.at.warn("not used: only `azure/` models have one");
            }
            base_and_key(given, &provider, name.as_deref(), &field, at)?
        };
        let api = provider.api(&api_base);
        let organization = organization.or_else(|| {
            let variables: &[_] =
                if api == Provider::OpenAi { &["OPENAI_ORGANIZATION"] } else { &[] };
            secret_value(&address::of_variables(variables, at)?.1)
        });
        add(&mut headers, ORGANIZATION, organization);
        Some(Self {
            provider: name,
            api,
            model: model.to_owned(),
            api_base,
            api_version: is_azure.then(|| api_version(version.as_ref(), at)),
            api_key,
            headers,
        })
    }
}

/// A token as it is sent: LiteLLM also takes the name of one to be fetched.
fn azure_token(field: &Field<'_>) -> Option<Secret> {
    let token = field.secret()?;
    if token.expose().starts_with("oidc/") {
        field.at.error("no token is fetched: expected the token itself, or use `api_key`");
        return None;
    }
    Some(token)
}

/// The address of an Azure resource, which the environment may give, and either a key or a token.
fn azure(
    given: Given,
    token: Option<Secret>,
    at: &At<'_>,
) -> (String, Option<Secret>, Option<Secret>) {
    const KEYS: &[&str] = &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"];
    let in_file = given.base.is_some();
    let base = given.base.or_else(|| address::of_environment(&["AZURE_API_BASE"], at));
    let base = base.unwrap_or_else(|| {
        at.key("api_base").error(
            "missing, and so is environment variable AZURE_API_BASE: the address of your Azure resource",
        );
        String::new()
    });
    if given.has_key {
        return (base, given.key, None);
    }
    if token.is_some() {
        return (base, None, token);
    }
    // Where the address is Azure's or the environment's own, so may the key be.
    if in_file && !address::is_azures(&base) {
        return (base, None, None);
    }
    let key = address::secret_of_environment(KEYS, at);
    let token = || address::secret_of_environment(&["AZURE_AD_TOKEN"], at);
    let token = if key.is_none() { token() } else { None };
    if key.is_none() && token.is_none() {
        warn_of_no_key(KEYS, at);
    }
    (base, key, token)
}

/// The address and the key of a provider that is not Azure, of which `name` and `model` tell; `None`, with a warning,
/// where there is no address.
fn base_and_key(
    given: Given,
    provider: &Named,
    name: Option<&str>,
    model: &Field<'_>,
    at: &At<'_>,
) -> Option<(String, Option<Secret>)> {
    if let Some(base) = given.base {
        let own = matches!(provider, Named::Hosted(hosted) if hosted.api_base == base);
        if name.is_some_and(Named::is_foreign) && !own {
            model.at.warn("the provider's own API is not spoken: requests have OpenAI's shape");
        }
        return Some((provider.address(base), given.key));
    }
    let Named::Hosted(hosted) = provider else {
        let key = if matches!(provider, Named::Unknown) { "model" } else { "api_base" };
        let at = at.key(key).on(model.at.line);
        at.warn(format!("left out: {}", no_address(provider, name, model)));
        return None;
    };
    let of_environment = || {
        let key = address::secret_of_environment(hosted.key_variables, at);
        if key.is_none() && hosted.wants_key {
            warn_of_no_key(hosted.key_variables, at);
        }
        key
    };
    let key = if given.has_key { given.key } else { of_environment() };
    let base = address::of_environment(hosted.base_variables, at);
    Some((base.map_or_else(|| hosted.api_base.to_owned(), |base| provider.address(base)), key))
}

/// Why there is no address, and what to write.
fn no_address(provider: &Named, name: Option<&str>, model: &Field<'_>) -> String {
    const INSTEAD: &str = "say in `api_base` where its API in OpenAI's shape is";
    match (provider, name) {
        (Named::Foreign, Some(name)) => {
            format!(
                "the API of `{name}` is not spoken; put what speaks OpenAI's before it, as its `api_base`"
            )
        }
        (_, Some(name)) => format!("`{name}` has no address of its own; {INSTEAD}"),
        (Named::Unknown, None) => format!(
            "{} does not tell whose it is; write the provider before it, as in `gemini/…`, or {INSTEAD}",
            model.as_name()
        ),
        (_, None) => {
            format!("{} does not begin with a known provider; {INSTEAD}", model.as_name())
        }
    }
}

/// The provider, its name if it has one, and the model's name without it.
fn provider<'m>(
    custom: Option<&Field<'_>>,
    model: &'m str,
    has_base: bool,
) -> (Named, Option<String>, &'m str) {
    if let Some((custom, name)) = custom.and_then(|field| Some((field, field.text()?))) {
        let prefix = model.split_once('/').filter(|(prefix, _)| *prefix == name);
        let model = prefix.map_or(model, |(_, model)| model);
        let provider = Named::of_name(&name).unwrap_or_else(|| {
            custom.at.warn("not a known provider: requests have OpenAI's shape");
            Named::Compatible
        });
        return (provider, Some(name), model);
    }
    match Named::split(model) {
        Some((provider, name, model)) => (provider, Some(name.to_owned()), model),
        // `meta-llama/Llama-3` is a model of whoever serves it.
        None if model.contains('/') => (Named::Compatible, None, model),
        None => {
            let (provider, name) = Named::of_bare(model, has_base);
            (provider, name.map(str::to_owned), model)
        }
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
            let value = secret_value(&text);
            if value.is_none() {
                field.at.error("expected visible ASCII characters and spaces only");
            }
            add(&mut headers, name, value);
        }
    }
    headers
}

/// Adds a header, if there is a value and not yet such a header.
fn add(headers: &mut Vec<(HeaderName, HeaderValue)>, name: HeaderName, value: Option<HeaderValue>) {
    if headers.iter().all(|(there, _)| *there != name) {
        headers.extend(value.map(|value| (name, value)));
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
