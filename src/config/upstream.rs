//! Whom a deployment's requests go to: provider, address, key and model name.

use http::Uri;

use super::{
    Secret,
    field::Field,
    provider::{Hosted, OPENAI, Provider},
    read::{At, Section},
};

/// The fields of the same names of [`DeploymentConfig`](super::DeploymentConfig).
#[derive(Default)]
pub(super) struct Upstream {
    pub(super) provider: Option<String>,
    pub(super) model: String,
    pub(super) api_base: String,
    pub(super) api_key: Option<Secret>,
}

impl Upstream {
    /// Reads it from `litellm_params`. What could not be read is left empty and noted.
    pub(super) fn read(params: &mut Section<'_>, model_name: &str) -> Self {
        let key_given = params.has("api_key");
        let mut api_key = params.take("api_key").and_then(|field| field.secret());
        let given_base = given_base(params);
        let model = params.require("model", "the model's name upstream, such as `openai/gpt-4o`");
        let Some((field, model)) = model.and_then(|field| field.text().map(|text| (field, text)))
        else {
            return Self::default();
        };
        let split = Provider::split(&model);
        let name = split.as_ref().map(|(_, name, _)| *name);
        let (provider, upstream) = match split {
            Some((provider, _, upstream)) => (provider, upstream),
            // `meta-llama/Llama-3` is a model of whoever serves it, a bare `gpt-4o` one of
            // OpenAI's.
            None if model.contains('/') => (Provider::Compatible, model.as_str()),
            None => (Provider::Hosted(&OPENAI), model.as_str()),
        };
        if upstream.is_empty() {
            field.wrong("a model after the provider");
        }
        if upstream.contains('*') && !model_name.contains('*') {
            field.at.warn("holds `*`, but `model_name` has none that could stand for it");
        }

        let api_base = match (given_base, &provider) {
            (Some(base), Provider::Foreign) => {
                field.at.warn("the provider's own API is not spoken: requests have OpenAI's shape");
                base
            }
            (Some(base), _) => base,
            (None, Provider::Hosted(hosted)) => {
                if !key_given {
                    api_key = key_of_environment(hosted, &params.at);
                }
                hosted.api_base.to_owned()
            }
            (None, Provider::Compatible | Provider::Foreign) => {
                let why = match (&provider, name) {
                    (Provider::Foreign, Some(name)) => format!("`{name}` has an API of its own"),
                    (_, Some(name)) => format!("`{name}` has no address of its own"),
                    (_, None) => format!("{field} does not begin with a known provider"),
                };
                params
                    .at
                    .key("api_base")
                    .error(format!("missing: {why}, so say where its API in OpenAI's shape is"));
                String::new()
            }
        };
        Self { provider: name.map(str::to_owned), model: upstream.to_owned(), api_base, api_key }
    }
}

/// `None` when the file gives no address, an empty text when it gives one that cannot be used.
fn given_base(params: &mut Section<'_>) -> Option<String> {
    let given = params.has("api_base") || params.has("base_url");
    let (api_base, base_url) = (params.take("api_base"), params.take("base_url"));
    if let (Some(_), Some(base_url)) = (&api_base, &base_url) {
        base_url.at.warn("overridden by `api_base`");
    }
    given.then(|| api_base.or(base_url).and_then(|field| address(&field)).unwrap_or_default())
}

/// An absolute http(s) address to which paths can be appended.
fn address(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    if text.contains(['@', '?', '#']) {
        // Not shown: it may be a password or a key.
        field.at.error("expected an address without credentials, query or fragment");
        return None;
    }
    let usable = text.parse::<Uri>().is_ok_and(|uri| {
        let port_is_a_number =
            uri.authority().is_some_and(|it| it.as_str() == it.host() || it.port_u16().is_some());
        matches!(uri.scheme_str(), Some("http" | "https")) && port_is_a_number
    });
    if !usable {
        field.wrong("an absolute address such as `https://host/v1`");
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn key_of_environment(hosted: &Hosted, at: &At<'_>) -> Option<Secret> {
    let mut values = hosted.key_variables.iter().filter_map(|name| at.variable(name));
    let key = values.find_map(|value| Secret::parse(&value).ok().flatten());
    if key.is_none() {
        at.key("api_key").warn(format!(
            "missing, and so is environment variable {}",
            hosted.key_variables.join(" or ")
        ));
    }
    key
}
