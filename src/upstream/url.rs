use std::fmt;

use http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

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

    /// The URL of a request to `uri`, whose own scheme and host do not matter.
    pub(super) fn join(&self, uri: Uri) -> Uri {
        let mut parts = uri.into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        let asked = parts.path_and_query.take().unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.path_and_query = Some(self.with_path(asked));
        // A URI with all its parts is always valid.
        Uri::from_parts(parts).unwrap_or_default()
    }

    fn with_path(&self, asked: PathAndQuery) -> PathAndQuery {
        if self.path.is_empty() {
            return asked;
        }
        let tail = match asked.as_str() {
            // As OPTIONS may ask for: it stands for the server and has no path to add to.
            "*" => return asked,
            root if asked.path() == "/" => root.trim_start_matches('/'),
            tail => tail,
        };
        // Two valid paths in a row make one.
        PathAndQuery::try_from(format!("{}{tail}", self.path)).unwrap_or(asked)
    }
}

/// A base URL that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidUrl {
    /// Empty where the URL holds a secret.
    url: String,
    reason: &'static str,
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
    use super::BaseUrl;

    fn joined(base: &str, asked: &str) -> String {
        BaseUrl::parse(base).unwrap().join(asked.parse().unwrap()).to_string()
    }

    #[test]
    fn the_path_of_the_base_goes_before_the_path_of_the_request() {
        assert_eq!(joined("https://a.example", "/v1/chat?x=1"), "https://a.example/v1/chat?x=1");
        assert_eq!(joined("https://a.example/v1", "/chat?x=1"), "https://a.example/v1/chat?x=1");
        assert_eq!(joined("https://a.example/v1/", "/chat"), "https://a.example/v1/chat");
        assert_eq!(joined("http://a.example:8080/v1", "/"), "http://a.example:8080/v1");
        assert_eq!(joined("https://a.example/v1", "/?x=/1"), "https://a.example/v1?x=/1");
    }

    #[test]
    fn the_host_of_the_request_does_not_matter() {
        assert_eq!(
            joined("https://a.example/v1", "http://other.example/chat"),
            "https://a.example/v1/chat"
        );
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
