//! Who may ask.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use subtle::{Choice, ConstantTimeEq as _};
use tower_fleet::upstream::Secret;

/// Where clients put a key, with or without `Bearer` before it.
const PLACES: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-litellm-api-key"),
];

/// The key that callers must hold.
#[derive(Debug)]
pub(crate) struct MasterKey(Secret);

impl MasterKey {
    pub(crate) const fn new(key: Secret) -> Self {
        Self(key)
    }

    /// Whether it is in any of the headers that carry keys. How long that takes does not tell how much of a wrong key
    /// is right, only whether its length is.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        let ours = self.0.expose().as_bytes();
        let keys =
            PLACES.into_iter().flat_map(|name| headers.get_all(name)).map(HeaderValue::as_bytes);
        keys.map(without_scheme).fold(Choice::from(0), |found, key| found | key.ct_eq(ours)).into()
    }
}

fn without_scheme(value: &[u8]) -> &[u8] {
    const SCHEME: &[u8] = b"bearer ";
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => token.trim_ascii(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(headers: &[(&'static str, &'static str)]) -> bool {
        let header =
            |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        MasterKey::new(Secret::new("sk-1234").unwrap()).is_in(&headers.iter().map(header).collect())
    }

    #[test]
    fn it_may_stand_wherever_clients_put_a_key() {
        for header in [
            ("authorization", "Bearer sk-1234"),
            ("authorization", "bearer  sk-1234"),
            ("authorization", "sk-1234"),
            ("x-api-key", "sk-1234"),
            ("api-key", "sk-1234"),
            ("x-litellm-api-key", "Bearer sk-1234"),
        ] {
            assert!(opens(&[header]), "{header:?}");
        }
        assert!(opens(&[("authorization", "Bearer of something else"), ("x-api-key", "sk-1234")]));
    }

    #[test]
    fn another_key_or_another_place_does_not_do() {
        assert!(!opens(&[]));
        for header in [
            ("authorization", "Basic sk-1234"),
            ("authorization", "Bearer"),
            ("authorization", "Bearer "),
            ("x-api-key", ""),
            ("x-api-key", "sk-123"),
            ("x-api-key", "sk-12345"),
            ("x-api-key", "SK-1234"),
            ("cookie", "sk-1234"),
        ] {
            assert!(!opens(&[header]), "{header:?}");
        }
    }
}
