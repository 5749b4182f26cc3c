//! Which headers travel.
//!
//! Everything does, in both directions, that an API may have a use for (`anthropic-beta`, `x-request-id`, `traceparent`,
//! `x-ratelimit-remaining-tokens` and what will be invented next), but for what is named here: a list of what may
//! pass would break the first client that needs one header more.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONNECTION};
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

/// Say who the client is to the gateway, or whose account it would use: each deployment has its own.
const CREDENTIALS: &[&str] = &[
    "api-key",
    "authorization",
    "cookie",
    "ocp-apim-subscription-key",
    "openai-organization",
    "openai-project",
    "x-api-key",
    "x-goog-api-key",
    "x-litellm-api-key",
];

/// Set anew by the client that sends the request; the body has been read, so nobody waits for a `100 Continue`.
const REQUEST_FRAMING: &[&str] = &["content-length", "expect", "host"];

/// Speak of the deployment's host, which the client did not talk to; cookies would not be sent there either.
const OF_THE_HOST: &[&str] = &["alt-svc", "set-cookie", "strict-transport-security"];

const DEPLOYMENT: HeaderName = HeaderName::from_static("x-fleet-deployment");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-fleet-attempts");
const FALLBACKS: HeaderName = HeaderName::from_static("x-fleet-fallbacks");

/// Leaves of a client's headers what goes to a deployment.
pub(crate) fn to_deployment(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    remove(headers, CREDENTIALS);
    remove(headers, REQUEST_FRAMING);
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
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let listed = values.flat_map(|value| value.split(','));
    let named: Vec<HeaderName> = listed.filter_map(|name| name.trim().parse().ok()).collect();
    for name in named {
        headers.remove(name);
    }
    remove(headers, HOP_BY_HOP);
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
        headers.keys().map(HeaderName::as_str).collect()
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
        assert_eq!(left(&all), ["x-third"]);
        to_client(&mut same);
        assert_eq!(left(&same), ["x-third"]);
    }

    #[test]
    fn no_credential_of_the_client_goes_to_a_deployment() {
        let mut all: HeaderMap = CREDENTIALS
            .iter()
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("secret")))
            .collect();
        all.insert("content-type", HeaderValue::from_static("application/json"));
        to_deployment(&mut all);
        assert_eq!(left(&all), ["content-type"]);
    }
}
