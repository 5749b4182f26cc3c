use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use http::{
    Uri,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};

use crate::trail::Captured;

/// An absolute URL to put before the path of requests.
#[derive(Clone, Debug)]
pub(super) struct BaseUrl {
    text: String,
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end; empty for the root.
    path: String,
}

impl BaseUrl {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidUrl> {
        // What may hold a password or a key is not shown.
        let shown = if text.contains(['@', '?', '#']) { "" } else { text };
        let invalid = |reason| InvalidUrl { url: shown.to_owned(), reason };
        let parts = text.parse::<Uri>().map_err(|_| invalid("it is no URL"))?.into_parts();
        let scheme =
            parts.scheme.ok_or_else(|| invalid("it has no scheme: write http://… or https://…"))?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(invalid("its scheme is neither http nor https"));
        }
        let authority = parts.authority.filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| invalid("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("it holds a user name or password: give a header"));
        }
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err(invalid("it has a query, which a base URL cannot have"));
        }
        let path = path.path().trim_end_matches('/').to_owned();
        Ok(Self { text: text.trim_end_matches('/').to_owned(), scheme, authority, path })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// This URL, with `target` for its path and query.
    pub(super) fn with(&self, target: PathAndQuery) -> Uri {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target);
        // A URI with all its parts is always valid.
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// Its path, without a slash at its end: empty for the root. A `*` stands for what a wildcard of the group stood for.
    pub(super) fn path(&self, captured: Option<&Captured>) -> Cow<'_, str> {
        match captured {
            Some(captured) if self.path.contains('*') => Cow::Owned(filled(&self.path, captured)),
            _ => Cow::Borrowed(&self.path),
        }
    }
}

/// As [`Captured::fill`], with what is filled in kept inside its segment of the path.
fn filled(path: &str, captured: &Captured) -> String {
    let encoded = Captured::new(captured.iter().map(|text| encode(text).into()));
    let filled = encoded.fill(path);
    if !filled.split('/').any(|segment| matches!(segment, "." | "..")) {
        return filled;
    }
    // Servers would walk up on these, and on their encoded form too: it becomes a name that nobody has.
    let segments = filled.split('/').map(|segment| match segment {
        "." | ".." => segment.replace('.', "%252E"),
        segment => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// `text` as it may stand in a segment of a path, or in the name or value of a query: everything encoded but RFC 3986's
/// unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // A string takes whatever is written to it.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// A base URL that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidUrl {
    /// Empty where the URL holds a secret.
    url: String,
    reason: &'static str,
}

impl InvalidUrl {
    #[cfg(feature = "llm")]
    pub(crate) const fn because(reason: &'static str) -> Self {
        Self { url: String::new(), reason }
    }
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.url.is_empty() {
            return write!(f, "not a base URL: {}", self.reason);
        }
        write!(f, "not a base URL: {:?}: {}", self.url, self.reason)
    }
}

impl std::error::Error for InvalidUrl {}

#[cfg(test)]
mod tests {
    use super::{BaseUrl, encode, filled};
    use crate::trail::Captured;

    #[test]
    fn what_fills_a_wildcard_stays_in_its_segment() {
        let fill = |text: &str| filled("/deployments/*/x", &Captured::new([text.into()]));
        assert_eq!(fill("gpt-4o"), "/deployments/gpt-4o/x");
        assert_eq!(fill("a/../b?c#d"), "/deployments/a%2F..%2Fb%3Fc%23d/x");
        assert_eq!(fill("größe *"), "/deployments/gr%C3%B6%C3%9Fe%20%2A/x");
        assert_eq!(fill(".."), "/deployments/%252E%252E/x");
        assert_eq!(fill("."), "/deployments/%252E/x");
        assert_eq!(encode("a.b-c_d~e"), "a.b-c_d~e");
    }

    #[test]
    fn a_url_that_cannot_be_a_base_is_named_with_the_reason() {
        let message = |text| BaseUrl::parse(text).unwrap_err().to_string();
        assert_eq!(message("not a url"), "not a base URL: \"not a url\": it is no URL");
        assert_eq!(message("a.example/v1"), "not a base URL: \"a.example/v1\": it is no URL",);
        assert_eq!(
            message("ftp://a.example"),
            "not a base URL: \"ftp://a.example\": its scheme is neither http nor https"
        );
        assert_eq!(
            message("http://a.example/?key=1"),
            "not a base URL: it has a query, which a base URL cannot have"
        );
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_shown() {
        for url in [
            "http://me:hunter2@a.example",
            "ftp://me:hunter2@a.example",
            "me:hunter2@a.example/x",
            "https://me:hun ter2@a.example",
            "https://a.example/v1?key=hunter2",
        ] {
            let error = BaseUrl::parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("ter2"), "{error:?}");
        }
    }
}
