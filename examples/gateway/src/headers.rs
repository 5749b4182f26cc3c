//! Which headers travel.
//!
//! Everything does, in both directions, that an API may have a use for (`anthropic-beta`, `x-request-id`, `traceparent`,
//! `x-ratelimit-remaining-tokens` and what will be invented next), but for what is named here, or is named as secrets
//! are: a list of what may pass would break the first client that needs one header more.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use tower_fleet::{Deployment, Trail, upstream::remove_hop_by_hop};

/// Set anew by the client that sends the request; the body has been read, so nobody waits for a `100 Continue`, and it is
/// [not encoded](encoding). Nor is the answer to be, as its tokens are counted and its errors understood on the way.
const REQUEST_FRAMING: &[&str] =
    &["accept-encoding", "content-encoding", "content-length", "expect", "host"];

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

/// Makes a client's headers go with a body of JSON, whatever the client called it. Those that are no business of a
/// deployment's, such as the client's credentials, are kept back on their way to it.
pub(crate) fn to_deployment(headers: &mut HeaderMap) {
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
        to_client(&mut all);
        assert_eq!(left(&all), ["x-third"]);
    }

    #[test]
    fn what_frames_the_clients_body_frames_no_other() {
        let mut all = headers(&[
            ("accept-encoding", "gzip"),
            ("anthropic-beta", "1"),
            ("content-encoding", "identity"),
            ("content-length", "9"),
            ("content-type", "text/plain"),
            ("expect", "100-continue"),
            ("host", "here"),
        ]);
        to_deployment(&mut all);
        assert_eq!(left(&all), ["anthropic-beta", "content-type"]);
        assert_eq!(all[CONTENT_TYPE], "application/json");
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
