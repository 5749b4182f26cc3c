//! Where a deployment is: its base URL, and the headers that go with each request to it.

mod service;
mod url;

use std::{fmt, sync::Arc};

use http::{HeaderName, HeaderValue, header::InvalidHeaderName, header::InvalidHeaderValue};
use tower_layer::Layer;

pub use self::service::SendTo;
use self::url::BaseUrl;
pub use self::url::InvalidUrl;

/// A base URL and headers. As a [`Layer`] it makes a client send each request there.
///
/// The path of the base URL goes before the path of the request. A header given here takes the place of the request's
/// own header of that name; its value is kept out of `Debug` output, as it may be a key. The `Host` of the incoming
/// request is dropped, so that the client sets the one that fits the URL, and so is its HTTP version.
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
}

impl Upstream {
    /// An upstream at `base`: an absolute `http` or `https` URL without a query.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the URL.
    pub fn new(base: &str) -> Result<Self, InvalidUrl> {
        Ok(Self(Arc::new(Inner { base: BaseUrl::parse(base)?, headers: Vec::new() })))
    }

    /// Adds a header to each request.
    ///
    /// # Errors
    ///
    /// A name or value that cannot stand in a header; the error does not show the value.
    pub fn header<K, V>(mut self, name: K, value: V) -> Result<Self, InvalidHeader>
    where
        K: TryInto<HeaderName, Error: Into<InvalidHeader>>,
        V: TryInto<HeaderValue, Error: Into<InvalidHeader>>,
    {
        let name = name.try_into().map_err(Into::into)?;
        let mut value = value.try_into().map_err(Into::into)?;
        value.set_sensitive(true);
        let headers = &mut Arc::make_mut(&mut self.0).headers;
        headers.retain(|(there, _)| *there != name);
        headers.push((name, value));
        Ok(self)
    }

    /// The base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.base.as_str()
    }
}

impl<S> Layer<S> for Upstream {
    type Service = SendTo<S>;

    fn layer(&self, inner: S) -> SendTo<S> {
        SendTo::new(inner, self.clone())
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Upstream").field("url", &self.url()).field("headers", &names).finish()
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
