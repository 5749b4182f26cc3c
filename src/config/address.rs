//! Where an API is: what the file says, and what else holds.

use http::Uri;

use super::{
    Secret,
    field::Field,
    read::{At, Section},
};

/// `None` when the file gives no address, an empty text when it gives one that cannot be used.
pub(super) fn given(params: &mut Section<'_>) -> Option<String> {
    let given = params.has("api_base") || params.has("base_url");
    let (api_base, base_url) = (params.take("api_base"), params.take("base_url"));
    if let (Some(_), Some(base_url)) = (&api_base, &base_url) {
        base_url.at.warn("overridden by `api_base`");
    }
    given.then(|| api_base.or(base_url).and_then(|field| address(&field)).unwrap_or_default())
}

/// The address that the first of these environment variables gives which is not blank; an empty text
/// when it cannot be used.
pub(super) fn of_environment(variables: &[&str], at: &At<'_>) -> Option<String> {
    let (name, value) = of_variables(variables, at)?;
    let usable = problem(&value).map_or(Ok(trimmed(&value)), Err);
    Some(usable.unwrap_or_else(|expected| {
        at.key("api_base").error(format!("expected {expected}, found {}", variable(name)));
        String::new()
    }))
}

/// The first of these environment variables that is not blank.
pub(super) fn of_variables<'v>(variables: &[&'v str], at: &At<'_>) -> Option<(&'v str, String)> {
    let value = |name: &&'v str| Some((*name, at.variable(name)?.trim().to_owned()));
    variables.iter().filter_map(value).find(|(_, value)| !value.is_empty())
}

/// The first of these environment variables that can be a secret.
pub(super) fn secret_of_environment(variables: &[&str], at: &At<'_>) -> Option<Secret> {
    let mut values = variables.iter().filter_map(|name| at.variable(name));
    values.find_map(|value| Secret::parse(&value).ok().flatten())
}

/// Whether only Azure can be at this address, so that its key may go there.
pub(super) fn is_azures(base: &str) -> bool {
    let host = base.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("https"));
    let host = host.as_ref().and_then(Uri::host).unwrap_or_default().to_ascii_lowercase();
    // Not all of `azure.com`: anyone can have a name under `cloudapp.azure.com`.
    let services = ["openai", "cognitiveservices", "services.ai"];
    let domains = ["azure.com", "azure.us", "azure.cn"];
    services
        .iter()
        .any(|service| domains.iter().any(|domain| host.ends_with(&format!(".{service}.{domain}"))))
}

fn variable(name: &str) -> String {
    format!("the value of environment variable {name}")
}

/// An absolute http(s) address to which paths can be appended.
fn address(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    match problem(&text) {
        None => Some(trimmed(&text)),
        // Not shown: it may be a password or a key.
        Some(PLAIN) => {
            field.at.error(format!("expected {PLAIN}"));
            None
        }
        Some(expected) => {
            field.wrong(expected);
            None
        }
    }
}

const PLAIN: &str = "an address without credentials, query or fragment";

/// What was expected in place of this address.
fn problem(text: &str) -> Option<&'static str> {
    if text.contains(['@', '?', '#']) {
        return Some(PLAIN);
    }
    let usable = text.parse::<Uri>().is_ok_and(|uri| {
        let port_is_a_number =
            uri.authority().is_some_and(|it| it.as_str() == it.host() || it.port_u16().is_some());
        matches!(uri.scheme_str(), Some("http" | "https")) && port_is_a_number
    });
    (!usable).then_some("an absolute address such as `https://host/v1`")
}

fn trimmed(text: &str) -> String {
    text.trim_end_matches('/').to_owned()
}
