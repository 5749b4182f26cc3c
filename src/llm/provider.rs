use http::{HeaderName, HeaderValue, header::AUTHORIZATION};

use super::Endpoint;
use crate::upstream::{InvalidUrl, Secret, Upstream, encode};

/// Whose API a deployment speaks: what it is called with, and which endpoints it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// A server that speaks `OpenAI`'s API: [`Upstream::openai`].
    #[default]
    OpenAiCompatible,
    /// `OpenAI` itself: [`Upstream::openai`].
    OpenAi,
    /// Azure `OpenAI`: [`Upstream::azure`].
    Azure,
    /// Anthropic: [`Upstream::anthropic`].
    Anthropic,
}

impl Provider {
    /// Its public address, as its constructor takes it; none where each customer has one.
    #[must_use]
    pub const fn url(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("https://api.openai.com/v1"),
            Self::Anthropic => Some("https://api.anthropic.com"),
            Self::OpenAiCompatible | Self::Azure => None,
        }
    }

    /// Endpoints it is known not to have.
    #[must_use]
    pub const fn lacks(self) -> &'static [Endpoint] {
        match self {
            Self::OpenAiCompatible => &[],
            Self::OpenAi | Self::Azure => &[Endpoint::Messages],
            Self::Anthropic => &[Endpoint::Completions, Endpoint::Embeddings, Endpoint::Responses],
        }
    }

    /// The paths of the endpoints it has, for [`Deployment::endpoints`](crate::Deployment::endpoints); none where nothing
    /// is known.
    ///
    /// ```
    /// use tower_fleet::{Deployment, llm::Provider};
    ///
    /// let mut claude = Deployment::new("claude");
    /// if let Some(paths) = Provider::Anthropic.endpoints() {
    ///     claude = claude.endpoints(paths);
    /// }
    /// let paths: Vec<_> = claude.get_endpoints().into_iter().flatten().map(|path| &**path).collect();
    /// assert_eq!(paths, ["/chat/completions", "/messages"]);
    /// ```
    #[must_use]
    pub fn endpoints(self) -> Option<impl Iterator<Item = &'static str>> {
        let lacks = self.lacks();
        let has = Endpoint::ALL.iter().filter(move |endpoint| !lacks.contains(endpoint));
        (!lacks.is_empty()).then(|| has.map(|endpoint| endpoint.path()))
    }
}

/// Providers of models. Requests to them keep [nothing of the client](Upstream::hide_client) they came from, and their
/// path may begin with `/v1` or not.
#[cfg_attr(docsrs, doc(cfg(feature = "llm")))]
impl Upstream {
    /// A server that speaks `OpenAI`'s API, at the `base` that `OpenAI`'s own SDKs would be given: `/v1` is part of it
    /// where it is part of the server's paths.
    ///
    /// An organization or a project are [headers](Upstream::header): `openai-organization` and `openai-project`.
    ///
    /// ```
    /// use tower_fleet::upstream::{Secret, Upstream};
    ///
    /// let key = Secret::new("sk-1")?;
    /// let upstream = Upstream::openai("https://api.openai.com/v1", Some(&key))?
    ///     .header("openai-organization", "org-1")?;
    /// # Ok::<_, tower_fleet::BoxError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Says what is wrong with the URL.
    pub fn openai(base: &str, key: Option<&Secret>) -> Result<Self, InvalidUrl> {
        let upstream = for_clients(base)?;
        Ok(match key {
            Some(key) => upstream.with_header(&AUTHORIZATION, &key.header("Bearer ")),
            None => upstream,
        })
    }

    /// A deployment of Azure `OpenAI`, at the `endpoint` of its resource, such as `https://mine.openai.azure.com`.
    ///
    /// With a dated API version (`2024-10-21`) the deployment's name stands in the path; a `*` in it stands for what the
    /// group's [wildcard](crate::Captured) stood for. Without a version, with one called `v1`, `latest` or `preview`, or
    /// with an endpoint that ends in `/openai/v1`, requests go to Azure's newer API, which reads the name from the body:
    /// [`Deployment::model`](crate::Deployment::model) puts it there.
    ///
    /// An endpoint that names a deployment itself (`…/openai/deployments/mine`) is taken as it is. A token of Microsoft
    /// Entra goes into a [header](Upstream::header), `authorization`, in place of the key.
    ///
    /// ```
    /// use tower_fleet::upstream::{Secret, Upstream};
    ///
    /// let key = Secret::new("0123456789abcdef")?;
    /// let endpoint = "https://mine.openai.azure.com";
    /// let dated = Upstream::azure(endpoint, "gpt-4o", Some("2024-10-21"), Some(&key))?;
    /// assert_eq!(dated.url(), "https://mine.openai.azure.com/openai/deployments/gpt-4o");
    ///
    /// let newer = Upstream::azure(endpoint, "gpt-4o", None, Some(&key))?;
    /// assert_eq!(newer.url(), "https://mine.openai.azure.com/openai/v1");
    /// # Ok::<_, tower_fleet::BoxError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Says what is wrong with the URL, and where a deployment is to be in it and has no name.
    pub fn azure(
        endpoint: &str,
        deployment: &str,
        api_version: Option<&str>,
        key: Option<&Secret>,
    ) -> Result<Self, InvalidUrl> {
        let endpoint = endpoint.trim_end_matches('/');
        let resource = endpoint.strip_suffix("/openai").unwrap_or(endpoint);
        let dated = api_version.filter(|version| !matches!(*version, "v1" | "latest" | "preview"));
        let upstream = match dated {
            _ if endpoint.ends_with("/openai/v1") => newer_azure(endpoint, api_version)?,
            None => newer_azure(&format!("{resource}/openai/v1"), api_version)?,
            Some(version) => dated_azure(resource, deployment)?.query("api-version", version),
        };
        Ok(match key {
            Some(key) => upstream.with_header(&API_KEY, &key.header("")),
            None => upstream,
        })
    }

    /// Anthropic's API at `base`, such as `https://api.anthropic.com`; `/v1` is added where it does not end so.
    ///
    /// Requests get version `2023-06-01` of the API unless they ask for another (`anthropic-version`). The key goes into
    /// `x-api-key`, but on `/chat/completions`, which is there for `OpenAI`'s SDKs, where they put theirs.
    ///
    /// ```
    /// use tower_fleet::upstream::{Secret, Upstream};
    ///
    /// let key = Secret::new("sk-ant-1")?;
    /// let claude = Upstream::anthropic("https://api.anthropic.com", Some(&key))?;
    /// assert_eq!(claude.url(), "https://api.anthropic.com/v1");
    /// # Ok::<_, tower_fleet::BoxError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Says what is wrong with the URL.
    pub fn anthropic(base: &str, key: Option<&Secret>) -> Result<Self, InvalidUrl> {
        let base = base.trim_end_matches('/');
        let base = base.strip_suffix("/messages").unwrap_or(base);
        let base = base.strip_suffix("/v1").unwrap_or(base);
        let upstream = for_clients(&format!("{base}/v1"))?;
        let messages = upstream.clone().with_default_header(&ANTHROPIC_VERSION, &SINCE_2023);
        let Some(key) = key else { return Ok(messages) };
        let messages = messages.with_header(&X_API_KEY, &key.header(""));
        let openai = upstream.with_header(&AUTHORIZATION, &key.header("Bearer "));
        Ok(messages.elsewhere(Endpoint::ChatCompletions.path(), &openai))
    }
}

const API_KEY: HeaderName = HeaderName::from_static("api-key");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const SINCE_2023: HeaderValue = HeaderValue::from_static("2023-06-01");

fn for_clients(base: &str) -> Result<Upstream, InvalidUrl> {
    Ok(Upstream::new(base)?.strip_prefix("/v1").hide_client(true))
}

/// The name `v1` is implied; a dated version is none that this API has.
fn newer_azure(base: &str, api_version: Option<&str>) -> Result<Upstream, InvalidUrl> {
    let upstream = for_clients(base)?;
    Ok(match api_version {
        Some(preview @ "preview") => upstream.query("api-version", preview),
        _ => upstream,
    })
}

fn dated_azure(resource: &str, deployment: &str) -> Result<Upstream, InvalidUrl> {
    const DEPLOYMENTS: &str = "/openai/deployments/";
    let (base, resource) = match resource.split_once(DEPLOYMENTS) {
        Some((resource_alone, _)) => (resource.to_owned(), resource_alone),
        None if deployment.is_empty() => {
            return Err(InvalidUrl::because("it has no name of a deployment"));
        }
        None => {
            let name = deployment.split('*').map(encode).collect::<Vec<_>>().join("*");
            (format!("{resource}{DEPLOYMENTS}{name}"), resource)
        }
    };
    // Responses are asked for by a name in the body in every version.
    let by_name = for_clients(&format!("{resource}/openai"))?;
    Ok(for_clients(&base)?.elsewhere(Endpoint::Responses.path(), &by_name))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Request};
    use tower::{Layer, ServiceExt, service_fn};

    use crate::{
        BoxError, Captured,
        trail::Carried,
        upstream::{Secret, Upstream},
    };

    /// Where a request for `path` goes, with which headers.
    async fn sent(upstream: &Upstream, path: &str) -> (String, HeaderMap) {
        let mut request = Request::post(path).body(()).unwrap();
        request.headers_mut().insert("authorization", "Bearer theirs".parse().unwrap());
        request.headers_mut().insert("x-api-key", "theirs".parse().unwrap());
        request.headers_mut().insert("anthropic-beta", "theirs".parse().unwrap());
        send(upstream, request).await
    }

    async fn send(upstream: &Upstream, request: Request<()>) -> (String, HeaderMap) {
        let client = service_fn(|request: Request<()>| async move {
            Ok::<_, BoxError>((request.uri().to_string(), request.headers().clone()))
        });
        upstream.layer(client).oneshot(request).await.unwrap()
    }

    fn headers<const N: usize>(list: [(&'static str, &str); N]) -> HeaderMap {
        let beta = ("anthropic-beta", "theirs");
        let pairs = list.into_iter().chain([beta]);
        pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn key() -> Secret {
        Secret::new("ours").unwrap()
    }

    #[tokio::test]
    async fn an_openai_compatible_server_is_asked_with_and_without_the_version() {
        let upstream = Upstream::openai("https://a.example/v1/", Some(&key())).unwrap();
        for path in ["/v1/chat/completions?beta=1", "/chat/completions?beta=1"] {
            let (to, with) = sent(&upstream, path).await;
            assert_eq!(to, "https://a.example/v1/chat/completions?beta=1");
            assert_eq!(with, headers([("authorization", "Bearer ours")]));
        }
        let keyless = Upstream::openai("http://a.example", None).unwrap();
        let (to, with) = sent(&keyless, "/v1/embeddings").await;
        assert_eq!((&*to, with), ("http://a.example/embeddings", headers([])));
    }

    #[tokio::test]
    async fn a_dated_azure_deployment_stands_in_the_path_but_for_responses() {
        for endpoint in ["https://a.example", "https://a.example/", "https://a.example/openai"] {
            let upstream = Upstream::azure(endpoint, "gpt 4/o", Some("2024-10-21"), Some(&key()));
            let upstream = upstream.unwrap();
            let (to, with) = sent(&upstream, "/v1/chat/completions?api-version=mine&x=1").await;
            let path = "/openai/deployments/gpt%204%2Fo/chat/completions";
            assert_eq!(to, format!("https://a.example{path}?x=1&api-version=2024-10-21"));
            assert_eq!(with, headers([("api-key", "ours")]));
            let (to, with) = sent(&upstream, "/responses").await;
            assert_eq!(to, "https://a.example/openai/responses?api-version=2024-10-21");
            assert_eq!(with, headers([("api-key", "ours")]));
        }
        let whole = "https://a.example/openai/deployments/mine";
        let upstream = Upstream::azure(whole, "", Some("2024-10-21"), None).unwrap();
        let (to, with) = sent(&upstream, "/embeddings").await;
        assert_eq!(to, format!("{whole}/embeddings?api-version=2024-10-21"));
        assert_eq!(with, headers([]));
        let (to, _) = sent(&upstream, "/responses/id").await;
        assert_eq!(to, "https://a.example/openai/responses/id?api-version=2024-10-21");

        let error = Upstream::azure("https://a.example", "", Some("2024-10-21"), None).unwrap_err();
        assert_eq!(error.to_string(), "not a base URL: it has no name of a deployment");
    }

    #[tokio::test]
    async fn an_azure_deployment_may_be_a_wildcard_s() {
        let upstream = Upstream::azure("https://a.example", "eu-*", Some("2024-10-21"), None);
        let mut request = Request::post("/chat/completions").body(()).unwrap();
        let captured = Captured::new(["gpt-4o".into()]);
        Carried::entry(request.extensions_mut()).captured = Some(captured);
        let (to, _) = send(&upstream.unwrap(), request).await;
        let path = "/openai/deployments/eu-gpt-4o/chat/completions?api-version=2024-10-21";
        assert_eq!(to, format!("https://a.example{path}"));
    }

    #[tokio::test]
    async fn azure_s_newer_api_has_no_deployment_in_its_path() {
        let newer = "https://a.example/openai/v1";
        for (endpoint, version, query) in [
            ("https://a.example", None, ""),
            ("https://a.example/openai", Some("v1"), ""),
            ("https://a.example", Some("latest"), ""),
            ("https://a.example/", Some("preview"), "?api-version=preview"),
            ("https://a.example/openai/v1/", Some("preview"), "?api-version=preview"),
            ("https://a.example/openai/v1", Some("2024-10-21"), ""),
            ("https://a.example/openai/v1", None, ""),
        ] {
            let upstream = Upstream::azure(endpoint, "gpt-4o", version, Some(&key())).unwrap();
            for (asked, path) in
                [("/v1/chat/completions", "/chat/completions"), ("/responses", "/responses")]
            {
                let (to, with) = sent(&upstream, asked).await;
                assert_eq!(to, format!("{newer}{path}{query}"), "{endpoint} {version:?}");
                assert_eq!(with, headers([("api-key", "ours")]));
            }
        }
    }

    #[tokio::test]
    async fn anthropic_gets_its_key_where_each_sdk_puts_it() {
        let base = "https://api.anthropic.com";
        for given in ["", "/", "/v1", "/v1/", "/v1/messages"] {
            let upstream = Upstream::anthropic(&format!("{base}{given}"), Some(&key())).unwrap();
            for path in ["/v1/messages?beta=true", "/messages?beta=true"] {
                let (to, with) = sent(&upstream, path).await;
                assert_eq!(to, format!("{base}/v1/messages?beta=true"), "{given}");
                let version = ("anthropic-version", "2023-06-01");
                assert_eq!(with, headers([("x-api-key", "ours"), version]));
            }
            let (to, with) = sent(&upstream, "/v1/chat/completions").await;
            assert_eq!(to, format!("{base}/v1/chat/completions"), "{given}");
            assert_eq!(with, headers([("authorization", "Bearer ours")]));
        }
    }

    #[tokio::test]
    async fn a_client_may_ask_for_another_version_of_anthropic_s_api() {
        let upstream = Upstream::anthropic("https://api.anthropic.com", Some(&key())).unwrap();
        let request = Request::post("/v1/messages").header("anthropic-version", "2031-01-01");
        let (_, with) = send(&upstream, request.body(()).unwrap()).await;
        assert_eq!(with["anthropic-version"], "2031-01-01");
    }

    #[tokio::test]
    async fn what_is_added_to_a_provider_s_upstream_goes_to_all_its_paths() {
        let upstream = Upstream::anthropic("https://api.anthropic.com", Some(&key())).unwrap();
        let upstream = upstream.header("x-team", "a").unwrap().query("trace", "1");
        let upstream = upstream.default_header("x-region", "eu").unwrap();
        for path in ["/v1/messages", "/v1/chat/completions"] {
            let (to, with) = sent(&upstream, path).await;
            assert_eq!(to, format!("https://api.anthropic.com{path}?trace=1"));
            assert_eq!(with["x-team"], "a", "{path}");
            assert_eq!(with["x-region"], "eu", "{path}");
        }
    }
}
