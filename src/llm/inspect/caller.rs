//! Who sends a request, by a name that is no secret.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use sha2::{Digest, Sha256};

/// Where APIs of inference take the caller's key: OpenAI's, Anthropic's, Azure's.
const KEYS: [HeaderName; 3] =
    [AUTHORIZATION, HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

/// The name of who sends these headers: the [digest] of the first key in them, whatever header that comes in.
pub(super) fn caller(headers: &HeaderMap) -> Option<Arc<str>> {
    let key = KEYS.iter().find_map(|name| headers.get(name))?.as_bytes().trim_ascii();
    // `Bearer`, or another scheme.
    let key = key.splitn(2, |byte| *byte == b' ').last()?.trim_ascii();
    (!key.is_empty()).then(|| digest(key).into())
}

/// The first half of the SHA-256 of `secret`, in hexadecimal.
///
/// A hash keyed anew by each process would give one caller several names, and of a quick one the secret might be found.
/// So many bits never give two callers one name by chance.
pub(super) fn digest(secret: &[u8]) -> String {
    let half = Sha256::digest(secret).into_iter().take(16);
    format!("{:032x}", half.fold(0, |number: u128, byte| number << 8 | u128::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &'static str)]) -> Option<Arc<str>> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        caller(&headers.collect())
    }

    #[test]
    fn a_caller_is_known_by_its_key_whatever_header_that_comes_in() {
        // By `printf abc | sha256sum`; every process must say the same.
        let name = Some("ba7816bf8f01cfea414140de5dae2223".into());
        for header in [
            ("authorization", "Bearer abc"),
            ("authorization", "bearer  abc "),
            ("authorization", "abc"),
            ("x-api-key", "abc"),
            ("api-key", "abc"),
        ] {
            assert_eq!(of(&[header]), name, "{header:?}");
        }
        assert_eq!(of(&[("api-key", "x"), ("authorization", "Bearer abc")]), name);
        assert_ne!(of(&[("api-key", "abd")]), name);
    }

    #[test]
    fn who_gives_no_key_has_no_name() {
        assert_eq!(of(&[("x-other", "abc")]), None);
        assert_eq!(of(&[("authorization", "")]), None);
    }
}
