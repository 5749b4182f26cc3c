//! Which headers travel.
//!
//! Everything does, in both directions, that an API may have a use for (`anthropic-beta`, `x-request-id`, `traceparent`,
//! `x-ratelimit-remaining-tokens` and what will be invented next), but for what is named here, or is named as secrets
//! are: a list of what may pass would break the first client that needs one header more.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE},
};
use tower_fleet::{Deployment, Trail};

/// Meant for the next hop alone ([RFC 9110, 7.6.1]), as is what `Connection` names.
///
/// [RFC 9110, 7.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Say who the client is, whose account it would use, or where it sits: the gateway may be told, the deployments, which
/// have credentials of their own, are not. The prefixes are those of proxies and clouds, which vouch for a client in
/// headers of their own.
const PRIVATE: &[&str] = &[
    "cookie",
    "forwarded",
    "from",
    "ocp-apim-subscription-key",
    "openai-organization",
    "openai-project",
    "origin",
    "referer",
    "remote-user",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-real-ip",
    "x-remote-user",
];
const PRIVATE_PREFIXES: &[&str] =
    &["cf-", "x-amz-", "x-amzn-", "x-forwarded-", "x-goog-", "x-litellm-", "x-ms-", "x-original-"];
const PRIVATE_PARTS: &[&str] =
    &["api-key", "apikey", "assertion", "auth", "credential", "jwt", "password", "secret", "token"];

/// Set anew by the client that sends the request; the body has been read, so nobody waits for a `100 Continue`, and it is
/// [not encoded](encoding).
const REQUEST_FRAMING: &[&str] = &["content-encoding", "content-length", "expect", "host"];

/// Speak of the deployment's host, which the client did not talk to, and of the account there; cookies would not be sent
/// there either.
const OF_THE_HOST: &[&str] = &[
    "alt-svc",
    "location",
    "openai-organization",
    "openai-project",
    "set-cookie",
    "strict-transport-security",
];

const DEPLOYMENT: HeaderName = HeaderName::from_static("x-fleet-deployment");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-fleet-attempts");
const FALLBACKS: HeaderName = HeaderName::from_static("x-fleet-fallbacks");

/// Leaves of a client's headers what goes to a deployment with a body of JSON, whatever the client called it.
pub(crate) fn to_deployment(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    remove_private(headers);
    remove(headers, REQUEST_FRAMING);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

/// How a body is encoded that cannot be read as it is.
pub(crate) fn encoding(headers: &HeaderMap) -> Option<&str> {
    listed(headers, &CONTENT_ENCODING)
        .find(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity"))
}

/// Leaves of a deployment's headers what goes to the client.
pub(crate) fn to_client(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    remove(headers, OF_THE_HOST);
}

/// Says who answered, or was tried last, and what it took: how many attempts, and fallbacks to another group.
pub(crate) fn tell(headers: &mut HeaderMap, deployment: Option<&Deployment>, trail: &Trail) {
    headers.remove(DEPLOYMENT);
    if let Some(id) = deployment.and_then(|one| HeaderValue::from_bytes(one.id().as_bytes()).ok()) {
        headers.insert(DEPLOYMENT, id);
    }
    headers.insert(ATTEMPTS, trail.attempt_count().into());
    headers.insert(FALLBACKS, trail.fallbacks().len().into());
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> =
        listed(headers, &CONNECTION).filter_map(|name| name.parse().ok()).collect();
    for name in named {
        headers.remove(name);
    }
    remove(headers, HOP_BY_HOP);
}

fn remove_private(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> =
        headers.keys().filter(|name| is_private(name.as_str())).cloned().collect();
    for name in named {
        headers.remove(name);
    }
}

fn is_private(name: &str) -> bool {
    PRIVATE.contains(&name)
        || PRIVATE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || PRIVATE_PARTS.iter().any(|part| name.contains(part))
}

/// The members of a list that may span several headers.
fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn remove(headers: &mut HeaderMap, names: &[&str]) {
    for name in names {
        headers.remove(*name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &[(&'static str, &'static str)]) -> HeaderMap {
        let header =
            |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        text.iter().map(header).collect()
    }

    fn left(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_connection_names_stays_on_its_hop() {
        let mut all = headers(&[
            ("connection", "close, X-Mine"),
            ("connection", "x-other"),
            ("x-mine", "1"),
            ("x-other", "2"),
            ("x-third", "3"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
        ]);
        let mut same = all.clone();
        to_deployment(&mut all);
        assert_eq!(left(&all), ["content-type", "x-third"]);
        to_client(&mut same);
        assert_eq!(left(&same), ["x-third"]);
    }

    #[test]
    fn neither_credentials_nor_who_the_client_is_go_to_a_deployment() {
        let names = [
            "authorization",
            "proxy-authorization",
            "api-key",
            "x-api-key",
            "apikey",
            "x-goog-api-key",
            "x-goog-iap-jwt-assertion",
            "x-goog-authenticated-user-email",
            "x-litellm-api-key",
            "x-litellm-tags",
            "ocp-apim-subscription-key",
            "openai-organization",
            "openai-project",
            "cookie",
            "x-auth-token",
            "x-access-token",
            "x-csrf-token",
            "x-amz-security-token",
            "x-amz-date",
            "x-amzn-oidc-identity",
            "x-amzn-trace-id",
            "x-ms-client-principal-name",
            "x-vault-password",
            "x-client-secret",
            "x-jwt-payload",
            "x-aws-credential",
            "cf-access-jwt-assertion",
            "cf-connecting-ip",
            "x-auth-request-email",
            "x-forwarded-for",
            "x-forwarded-user",
            "forwarded",
            "x-real-ip",
            "true-client-ip",
            "remote-user",
            "x-original-url",
            "via",
            "referer",
            "origin",
        ];
        for name in names {
            let mut all = headers(&[(name, "1")]);
            to_deployment(&mut all);
            assert_eq!(left(&all), ["content-type"], "{name}");
        }
    }

    #[test]
    fn what_an_api_may_use_goes_to_a_deployment() {
        let names = [
            "accept",
            "accept-encoding",
            "accept-language",
            "anthropic-beta",
            "anthropic-version",
            "idempotency-key",
            "openai-beta",
            "traceparent",
            "tracestate",
            "user-agent",
            "x-request-id",
            "x-stainless-lang",
            "x-stainless-retry-count",
        ];
        for name in names {
            let mut all = headers(&[(name, "1")]);
            to_deployment(&mut all);
            assert!(all.contains_key(name), "{name}");
        }
    }

    #[test]
    fn the_limits_come_back_and_the_account_does_not() {
        let mut all = headers(&[
            ("location", "http://deployment.internal/"),
            ("openai-organization", "org-1"),
            ("openai-project", "proj_1"),
            ("openai-processing-ms", "12"),
            ("x-ratelimit-remaining-tokens", "7"),
        ]);
        to_client(&mut all);
        assert_eq!(left(&all), ["openai-processing-ms", "x-ratelimit-remaining-tokens"]);
    }

    #[test]
    fn an_encoding_is_found_unless_it_is_none() {
        let of = |value| encoding(&headers(&[("content-encoding", value)])).map(str::to_owned);
        assert_eq!(of("gzip").as_deref(), Some("gzip"));
        assert_eq!(of("identity, br").as_deref(), Some("br"));
        assert_eq!(of("Identity"), None);
        assert_eq!(encoding(&HeaderMap::new()), None);
    }
}
