//! Where a deployment is: its base URL, and what goes with each request to it, or does not.

mod headers;
mod secret;
mod service;
mod target;
mod url;

use std::{fmt, sync::Arc};

use http::{HeaderName, HeaderValue, header::InvalidHeaderName, header::InvalidHeaderValue};
use tower_layer::Layer;

use self::url::BaseUrl;
pub(crate) use self::url::encode;
pub use self::{
    headers::{remove_hop_by_hop, remove_private},
    secret::{InvalidSecret, Secret},
    service::SendTo,
    url::InvalidUrl,
};

/// A base URL and headers. As a [`Layer`] it makes a client send each request there.
///
/// The path of the base URL goes before the path of the request. A header given here takes the place of the request's
/// own header of that name; its value is kept out of `Debug` output, as it may be a key. The `Host` of the incoming
/// request is dropped, so that the client sets the one that fits the URL, and so is its HTTP version. A `*` in the path of
/// the base URL stands for what the [wildcard](crate::Captured) of the group stood for, percent-encoded.
///
/// ```
/// use http::Request;
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_fleet::upstream::Upstream;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_fleet::BoxError> {
/// let client = service_fn(|request: Request<()>| async move { Ok::<_, tower_fleet::BoxError>(request.uri().to_string()) });
/// let eu = Upstream::new("https://eu.example/v1")?.header("api-key", "secret")?;
///
/// let sent_to = eu.layer(client).oneshot(Request::get("/models?limit=3").body(())?).await?;
/// assert_eq!(sent_to, "https://eu.example/v1/models?limit=3");
/// assert!(!format!("{eu:?}").contains("secret"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    base: BaseUrl,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For requests without a header of that name.
    default_headers: Vec<(HeaderName, HeaderValue)>,
    /// Names and values, percent-encoded.
    query: Vec<(String, String)>,
    /// Without a slash at its end; empty for none.
    prefix: String,
    /// Paths that go another way; those there have none.
    elsewhere: Vec<(&'static str, Inner)>,
    hides_client: bool,
}

impl Upstream {
    /// An upstream at `base`: an absolute `http` or `https` URL without a query.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the URL.
    pub fn new(base: &str) -> Result<Self, InvalidUrl> {
        Ok(Self(Arc::new(Inner {
            base: BaseUrl::parse(base)?,
            headers: Vec::new(),
            default_headers: Vec::new(),
            query: Vec::new(),
            prefix: String::new(),
            elsewhere: Vec::new(),
            hides_client: false,
        })))
    }

    /// Adds a header to each request.
    ///
    /// # Errors
    ///
    /// A name or value that cannot stand in a header; the error does not show the value.
    pub fn header<K, V>(self, name: K, value: V) -> Result<Self, InvalidHeader>
    where
        K: TryInto<HeaderName, Error: Into<InvalidHeader>>,
        V: TryInto<HeaderValue, Error: Into<InvalidHeader>>,
    {
        let (name, value) = header(name, value)?;
        Ok(self.with_header(&name, &value))
    }

    /// Adds a header to each request that has none of that name.
    ///
    /// # Errors
    ///
    /// As [`header`](Self::header).
    pub fn default_header<K, V>(self, name: K, value: V) -> Result<Self, InvalidHeader>
    where
        K: TryInto<HeaderName, Error: Into<InvalidHeader>>,
        V: TryInto<HeaderValue, Error: Into<InvalidHeader>>,
    {
        let (name, value) = header(name, value)?;
        Ok(self.with_default_header(&name, &value))
    }

    /// Adds `name=value` to the query of each request, in place of what the request has of that name. No place for a
    /// secret: URLs are shown in logs and errors.
    #[must_use]
    pub fn query(self, name: &str, value: &str) -> Self {
        let (name, value) = (encode(name), encode(value));
        self.with(|inner| put(&mut inner.query, name.clone(), value.clone()))
    }

    /// Takes `prefix`, such as `/v1`, off the path of requests that begin with it, before the path of the base URL goes
    /// there. None by default.
    #[must_use]
    pub fn strip_prefix(self, prefix: &str) -> Self {
        self.with(|inner| prefix.trim_end_matches('/').clone_into(&mut inner.prefix))
    }

    /// Whether to keep back what a request says of the client it came from: [private](remove_private) headers, members of
    /// the query that are named as secrets are, and [hop-by-hop](remove_hop_by_hop) headers. The headers given here are
    /// added after that.
    ///
    /// Off by default, as a caller may give credentials of its own on purpose; and of the hop-by-hop headers, gRPC needs
    /// its `te: trailers` and an upgrade its `connection`. Switch it on where requests are passed on for others.
    #[must_use]
    pub fn hide_client(self, hide: bool) -> Self {
        self.with(|inner| inner.hides_client = hide)
    }

    pub(crate) fn with_header(self, name: &HeaderName, value: &HeaderValue) -> Self {
        self.with(|inner| put(&mut inner.headers, name.clone(), value.clone()))
    }

    pub(crate) fn with_default_header(self, name: &HeaderName, value: &HeaderValue) -> Self {
        self.with(|inner| put(&mut inner.default_headers, name.clone(), value.clone()))
    }

    /// Sends requests for `path`, and for what is below it, as `to` does.
    #[cfg(feature = "llm")]
    pub(crate) fn elsewhere(mut self, path: &'static str, to: &Self) -> Self {
        Arc::make_mut(&mut self.0).elsewhere.push((path, Inner::clone(&to.0)));
        self
    }

    fn with(mut self, change: impl Fn(&mut Inner)) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        change(inner);
        inner.elsewhere.iter_mut().for_each(|(_, other)| change(other));
        self
    }

    /// The base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.base.as_str()
    }
}

fn header<K, V>(name: K, value: V) -> Result<(HeaderName, HeaderValue), InvalidHeader>
where
    K: TryInto<HeaderName, Error: Into<InvalidHeader>>,
    V: TryInto<HeaderValue, Error: Into<InvalidHeader>>,
{
    let name = name.try_into().map_err(Into::into)?;
    let mut value = value.try_into().map_err(Into::into)?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The last one given of a name counts.
fn put<K: PartialEq, V>(list: &mut Vec<(K, V)>, name: K, value: V) {
    list.retain(|(there, _)| *there != name);
    list.push((name, value));
}

impl<S> Layer<S> for Upstream {
    type Service = SendTo<S>;

    fn layer(&self, inner: S) -> SendTo<S> {
        SendTo::new(inner, self.clone())
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { headers, default_headers, query, .. } = &*self.0;
        let names: Vec<_> = headers.iter().chain(default_headers).map(|(name, _)| name).collect();
        let query: Vec<_> = query.iter().map(|(name, _)| name).collect();
        f.debug_struct("Upstream")
            .field("url", &self.url())
            .field("query", &query)
            .field("headers", &names)
            .field("hides_client", &self.0.hides_client)
            .finish_non_exhaustive()
    }
}

/// A header that cannot be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name is no header name.
    Name(InvalidHeaderName),
    /// The value has bytes that no header may have.
    Value(InvalidHeaderValue),
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(_) => f.write_str("not a header name"),
            Self::Value(_) => {
                f.write_str("not a header value: it has control or non-ASCII characters")
            }
        }
    }
}

impl std::error::Error for InvalidHeader {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Name(error) => Some(error),
            Self::Value(error) => Some(error),
        }
    }
}

impl From<InvalidHeaderName> for InvalidHeader {
    fn from(error: InvalidHeaderName) -> Self {
        Self::Name(error)
    }
}

impl From<InvalidHeaderValue> for InvalidHeader {
    fn from(error: InvalidHeaderValue) -> Self {
        Self::Value(error)
    }
}

impl From<std::convert::Infallible> for InvalidHeader {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
