//! Which headers of a client's request are no business of an upstream's.
//!
//! Everything goes on that an API may have a use for (`anthropic-beta`, `x-request-id`, `traceparent` and what will be
//! invented next), but for what is named here, or is named as secrets are: a list of what may pass would break the first
//! client that needs one header more.

use http::{HeaderMap, HeaderName, header::CONNECTION};

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
    "x-real-ip",
    "x-remote-user",
];
/// Those of proxies and clouds, which vouch for a client in headers of their own.
const PRIVATE_PREFIXES: &[&str] = &[
    "cf-",
    "ssl-",
    "x-amz-",
    "x-amzn-",
    "x-client-",
    "x-envoy-",
    "x-forwarded-",
    "x-goog-",
    "x-litellm-",
    "x-ms-",
    "x-original-",
    "x-ssl-",
    "x-user-",
];
/// Private as a word of a name.
const PRIVATE_WORDS: &[&str] = &[
    "bearer",
    "cert",
    "certificate",
    "dpop",
    "email",
    "key",
    "otp",
    "pass",
    "passwd",
    "pin",
    "session",
    "sessionid",
    "sig",
    "signature",
];
/// No secret, though it is called a key: it tells one request from another.
const IDEMPOTENCY: &[&str] = &["idempotency-key", "x-idempotency-key"];
/// Private as any part of a name.
const PRIVATE_PARTS: &[&str] =
    &["api-key", "apikey", "assertion", "auth", "credential", "jwt", "password", "secret", "token"];

/// Removes what is meant for one hop alone ([RFC 9110, 7.6.1]), and what `Connection` names: an intermediary passes none
/// of it on, in either direction.
///
/// [RFC 9110, 7.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let lists = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> = lists
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
}

/// Removes what says who a client is, whose account it would use, or where it sits: credentials, cookies, and what
/// proxies and clouds vouch for. An upstream that is called with credentials of its own has no use for it.
pub fn remove_private(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> =
        headers.keys().filter(|name| is_private(name.as_str())).cloned().collect();
    for name in named {
        headers.remove(name);
    }
}

fn is_private(name: &str) -> bool {
    PRIVATE.contains(&name)
        || PRIVATE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || named_as_a_secret(name)
        || has_private_word(name) && !IDEMPOTENCY.contains(&name)
}

fn has_private_word(name: &str) -> bool {
    name.split(['-', '_']).any(|word| PRIVATE_WORDS.contains(&word))
}

/// Every header of every request is asked this: looking for one part after the other takes six times as long.
fn named_as_a_secret(name: &str) -> bool {
    let mut rests = (0..name.len()).map(|index| &name.as_bytes()[index..]);
    rests.any(|rest| {
        matches!(rest[0], b'a' | b'c' | b'j' | b'p' | b's' | b't')
            && PRIVATE_PARTS.iter().any(|part| rest.starts_with(part.as_bytes()))
    })
}

/// Whether a member of a query is named as secrets are: some clients put their key there.
pub(super) fn is_private_query(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    name == "code" || named_as_a_secret(&name) || has_private_word(&name)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(text: &[(&'static str, &'static str)]) -> HeaderMap {
        let header =
            |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        text.iter().map(header).collect()
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
        remove_hop_by_hop(&mut all);
        assert_eq!(all, headers(&[("x-third", "3")]));
    }

    #[test]
    fn neither_credentials_nor_who_the_client_is_are_left() {
        let names = [
            "authorization",
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
            "x-functions-key",
            "x-access-key",
            "subscription-key",
            "anthropic-key",
            "x-company-key",
            "private-key",
            "x-bearer",
            "x-pass",
            "x-pin",
            "x-otp",
            "dpop",
            "x-signature",
            "x-sig",
            "session",
            "x-session-id",
            "x-client-cert",
            "x-ssl-client-cert",
            "ssl-client-dn",
            "x-envoy-peer-metadata",
            "x-user-email",
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
            let mut all = headers(&[(name, "1"), (name, "2")]);
            remove_private(&mut all);
            assert!(all.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_an_api_may_use_is_left() {
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
            "x-idempotency-key",
            "x-stainless-lang",
            "x-stainless-retry-count",
        ];
        for name in names {
            let mut all = headers(&[(name, "1")]);
            remove_hop_by_hop(&mut all);
            remove_private(&mut all);
            assert!(all.contains_key(name), "{name}");
        }
    }

    #[test]
    fn every_part_counts_wherever_it_stands() {
        for part in PRIVATE_PARTS {
            for name in [(*part).to_owned(), format!("my-{part}"), format!("{part}-of-mine")] {
                assert!(named_as_a_secret(&name), "{name}");
            }
        }
    }

    #[test]
    fn a_query_may_hold_a_key_too() {
        for name in ["key", "api_key", "API-Key", "access_token", "client_secret", "sig"] {
            assert!(is_private_query(name), "{name}");
        }
        for name in ["beta", "api-version", "limit", "after"] {
            assert!(!is_private_query(name), "{name}");
        }
    }
}
