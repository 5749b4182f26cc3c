use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{ServiceExt, service_fn};

use super::*;
use crate::llm::peek::{FOR_PROXY, MOCK_TESTING};

/// What came through: the group, whether a stream is wanted, and the body.
type Passed = (Option<String>, Option<bool>, Bytes);

async fn inspect<B>(layer: InspectLayer, request: Request<B>) -> Result<Passed, Error>
where
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let below = service_fn(|request: Request<ReplayBody>| async move {
        let group = GroupName::of(&request).map(ToString::to_string);
        let stream = Demand::of(&request).map(|demand| demand.stream);
        assert_eq!(request.body().replayable(), Ok(()));
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, BoxError>(Response::new((group, stream, body)))
    });
    Ok(layer.layer(below).oneshot(request).await?.into_body())
}

fn post<B>(body: B) -> Request<B> {
    Request::post("/").body(body).unwrap()
}

fn chunks(chunks: &[&'static str]) -> impl Body<Data = Bytes, Error = Infallible> + use<> {
    let frames: Vec<_> = chunks.iter().map(|chunk| Ok(Frame::data(Bytes::from(*chunk)))).collect();
    StreamBody::new(stream::iter(frames))
}

fn refusal(result: Result<Passed, Error>) -> String {
    InspectError::of(&result.unwrap_err()).expect("an error of the inspection").to_string()
}

const CHAT: &str = r#"{"model": "chat", "stream": true}"#;

#[tokio::test]
async fn the_model_becomes_the_group_and_the_body_goes_on_whole() {
    let expected = (Some("chat".into()), Some(true), Bytes::from(CHAT));
    assert_eq!(
        inspect(InspectLayer::new(), post(Full::new(Bytes::from(CHAT)))).await.unwrap(),
        expected
    );
    for cuts in [&["", CHAT][..], &[r#"{"mod"#, "", r#"el": "chat", "#, r#""stream": true}"#, ""]] {
        assert_eq!(inspect(InspectLayer::new(), post(chunks(cuts))).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn one_chunk_is_not_copied_and_several_are_put_together_once() {
    let text = Bytes::from(format!(r#"{{"model": "chat", "input": "{}"}}"#, "a".repeat(10 << 20)));
    let (_, _, whole) = inspect(InspectLayer::new(), post(Full::new(text.clone()))).await.unwrap();
    assert_eq!(whole.as_ptr(), text.as_ptr());

    let mut collected = Collected::default();
    let mut memory = None;
    for start in (0..text.len()).step_by(1 << 16) {
        let chunk = text.slice(start..text.len().min(start + (1 << 16)));
        let announced = text.len() - start - chunk.len();
        collected.push(chunk, announced);
        // The first chunk alone stays where it is.
        if start > 0 {
            let at = collected.begins_at();
            assert_eq!(*memory.get_or_insert(at), at, "moved");
        }
    }
    assert_eq!(collected.finish(), text);
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_and_not_beyond() {
    let layer = |limit| InspectLayer::new().limit(limit);
    let (whole, cut) = (|| post(Full::new(Bytes::from(CHAT))), || post(chunks(&[CHAT, " ", " "])));
    assert!(inspect(layer(CHAT.len()), whole()).await.is_ok());
    assert!(inspect(layer(CHAT.len() + 2), cut()).await.is_ok());
    let refused = refusal(inspect(layer(CHAT.len() - 1), whole()).await);
    assert_eq!(refused, format!("the request body is longer than {} bytes", CHAT.len() - 1));
    let refused = refusal(inspect(layer(CHAT.len() + 1), cut()).await);
    assert_eq!(refused, format!("the request body is longer than {} bytes", CHAT.len() + 1));
}

#[tokio::test]
async fn a_body_that_announces_more_than_the_limit_is_not_even_begun() {
    struct Announced;
    impl Body for Announced {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            unreachable!("it was asked for data")
        }
        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(101)
        }
    }
    let refused = refusal(inspect(InspectLayer::new().limit(100), post(Announced)).await);
    assert_eq!(refused, "the request body is longer than 100 bytes");
}

#[tokio::test]
async fn a_group_and_a_demand_that_are_there_already_stay() {
    let mut request = post(Full::new(Bytes::from(CHAT)));
    GroupName::new("chosen").set(&mut request);
    Demand { input_tokens: Some(7), ..Demand::default() }.set(&mut request);
    let passed = inspect(InspectLayer::new(), request).await.unwrap();
    assert_eq!(passed, (Some("chosen".into()), Some(false), Bytes::from(CHAT)));
}

#[tokio::test]
async fn a_body_may_name_no_model_where_the_group_is_set_above() {
    let counter = |prompt: &Prompt| {
        assert_eq!(prompt.model(), "chosen");
        1
    };
    for body in ["{}", r#"{"model": null}"#] {
        let layer = InspectLayer::new().counter(counter);
        let refused = refusal(inspect(layer.clone(), post(Full::new(Bytes::from(body)))).await);
        assert_eq!(refused, "`model` is missing: it must be a string");

        let mut request = post(Full::new(Bytes::from(body)));
        GroupName::new("chosen").set(&mut request);
        let passed = inspect(layer, request).await.unwrap();
        assert_eq!(passed, (Some("chosen".into()), Some(false), Bytes::from(body)));
    }
    let mut request = post(Full::new(Bytes::from(r#"{"model": 4}"#)));
    GroupName::new("chosen").set(&mut request);
    let refused = refusal(inspect(InspectLayer::new(), request).await);
    assert_eq!(refused, "`model` is missing: it must be a string");
}

#[tokio::test]
async fn other_methods_than_post_pass_as_they_are() {
    let request = Request::get("/models").body(Full::new(Bytes::from("no JSON"))).unwrap();
    let passed = inspect(InspectLayer::new().limit(1), request).await.unwrap();
    assert_eq!(passed, (None, None, Bytes::from("no JSON")));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_with_its_cause() {
    let frames = [Ok(Frame::data(Bytes::from("{"))), Err(BoxError::from("reset"))];
    let result = inspect(InspectLayer::new(), post(StreamBody::new(stream::iter(frames)))).await;
    let error = result.unwrap_err();
    let inspection = InspectError::of(&error).unwrap();
    assert_eq!(inspection.to_string(), "the request body broke off");
    assert_eq!(std::error::Error::source(inspection).unwrap().to_string(), "reset");
}

/// The request as the layer below gets it.
async fn below<B>(layer: InspectLayer, request: Request<B>) -> Result<Request<ReplayBody>, Error>
where
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
{
    let below =
        service_fn(|request: Request<ReplayBody>| async move { Ok::<_, BoxError>(request) });
    layer.layer(below).oneshot(request).await
}

fn asking(
    path: &str,
    body: &'static str,
    headers: &[(&'static str, &str)],
) -> Request<Full<Bytes>> {
    let mut request = Request::post(path).body(Full::new(Bytes::from(body))).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

fn groups(request: &Request<ReplayBody>) -> Option<Vec<String>> {
    let fallbacks = Carried::of(request.extensions())?.fallbacks.as_ref()?;
    Some(fallbacks.groups().iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn what_the_body_asks_for_goes_with_the_request() {
    let body = r#"{"model": "chat", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "12345678"}, {"type": "image_url", "image_url": {"url": "https://x.example/"}}
    ]}], "max_tokens": 9, "priority": 2, "num_retries": 0, "timeout": 1.5, "fallbacks": ["a", {"model": "b"}],
    "tags": ["x"], "metadata": {"tags": ["y", "x"]}, "user": "u", "allowed_model_region": "eu"}"#;
    let request =
        below(InspectLayer::new(), asking("/v1/chat/completions", body, &[])).await.unwrap();
    let demand = Demand::of(&request).unwrap();
    assert_eq!(
        *demand,
        Demand {
            input_tokens: Some((8 + 18_u64).div_ceil(4) + 4 + 3 + 765),
            output_tokens: Some(9),
            endpoint: Some("/chat/completions".into()),
            images: true,
            tags: vec!["x".into(), "y".into()],
            region: Some("eu".into()),
            priority: Some(2),
            ..Demand::default()
        }
    );
    let overrides = Overrides::of(&request).unwrap();
    assert_eq!(overrides.retries, Some(0));
    assert_eq!(overrides.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(groups(&request).unwrap(), ["a", "b"]);
    assert_eq!(Inspected::of(&request).unwrap().user(), Some("u"));
}

#[tokio::test]
async fn fallbacks_can_be_switched_off() {
    let body = r#"{"model": "chat", "fallbacks": ["a"], "disable_fallbacks": true}"#;
    let request = below(InspectLayer::new(), asking("/", body, &[])).await.unwrap();
    assert_eq!(groups(&request).unwrap(), [""; 0]);
    let request = below(InspectLayer::new(), asking("/", CHAT, &[])).await.unwrap();
    assert_eq!(groups(&request), None);
    assert_eq!(Overrides::of(&request), None);
}

#[tokio::test]
async fn fallbacks_by_model_count_wherever_the_model_stands() {
    let by_model = async |body: &'static str, group: Option<&str>| {
        let mut request = asking("/", body, &[]);
        if let Some(group) = group {
            GroupName::new(group).set(&mut request);
        }
        groups(&below(InspectLayer::new(), request).await.unwrap()).unwrap()
    };
    let before = r#"{"model": "chat", "fallbacks": [{"chat": ["a", "b"]}, {"*": ["w"]}]}"#;
    let after = r#"{"fallbacks": [{"chat": ["a", "b"]}, {"*": ["w"]}], "model": "chat"}"#;
    let none = r#"{"fallbacks": [{"chat": ["a", "b"]}, {"*": ["w"]}]}"#;
    assert_eq!(by_model(before, None).await, ["a", "b"]);
    assert_eq!(by_model(after, None).await, ["a", "b"]);
    // What the caller names a model is what it means in its lists.
    assert_eq!(by_model(after, Some("chosen")).await, ["a", "b"]);
    assert_eq!(by_model(none, Some("chat")).await, ["a", "b"]);
    assert_eq!(by_model(none, Some("chosen")).await, ["w"]);
    let others = r#"{"model": "chat", "fallbacks": [{"other": ["a"]}]}"#;
    assert_eq!(by_model(others, None).await, [""; 0]);
}

#[tokio::test]
async fn headers_ask_for_the_same_and_go_no_further() {
    let headers = [
        ("x-litellm-timeout", "2.5"),
        ("x-litellm-stream-timeout", "4"),
        ("x-litellm-num-retries", "3"),
        ("x-litellm-priority", "-1"),
        ("x-litellm-session-id", "s"),
        ("x-litellm-tags", "a, b,,"),
        ("x-litellm-tags", "c"),
        ("x-other", "kept"),
    ];
    let request = below(InspectLayer::new(), asking("/", CHAT, &headers)).await.unwrap();
    assert_eq!(request.headers().keys().collect::<Vec<_>>(), ["x-other"]);
    let overrides = Overrides::of(&request).unwrap();
    assert_eq!(
        (overrides.retries, overrides.timeout),
        (Some(3), Some(Duration::from_millis(2500)))
    );
    assert_eq!(overrides.stream_timeout, Some(Duration::from_secs(4)));
    let demand = Demand::of(&request).unwrap();
    assert_eq!(demand.tags, ["a".into(), "b".into(), "c".into()]);
    assert_eq!((demand.priority, demand.affinity.as_deref()), (Some(-1), Some("s")));
}

#[tokio::test]
async fn of_header_and_member_the_one_counts_that_does_for_litellm() {
    let body = r#"{"model": "chat", "num_retries": 1, "timeout": 1, "stream_timeout": 2, "tags": ["body"]}"#;
    let headers =
        [("x-litellm-num-retries", "5"), ("x-litellm-timeout", "6"), ("x-litellm-tags", "header")];
    let request = below(InspectLayer::new(), asking("/", body, &headers)).await.unwrap();
    let overrides = Overrides::of(&request).unwrap();
    assert_eq!((overrides.retries, overrides.timeout), (Some(5), Some(Duration::from_secs(6))));
    assert_eq!(overrides.stream_timeout, Some(Duration::from_secs(2)));
    assert_eq!(Demand::of(&request).unwrap().tags, ["body".into()]);
}

#[tokio::test]
async fn a_header_that_cannot_be_read_is_refused_by_its_name() {
    for (name, value, expected) in [
        ("x-litellm-timeout", "soon", "expected a positive number of seconds"),
        ("x-litellm-timeout", "NaN", "expected a positive number of seconds"),
        ("x-litellm-num-retries", "-1", "expected a whole number"),
    ] {
        let error =
            below(InspectLayer::new(), asking("/", CHAT, &[(name, value)])).await.unwrap_err();
        assert_eq!(InspectError::of(&error).unwrap().to_string(), format!("{name}: {expected}"));
    }
}

#[tokio::test]
async fn what_is_set_already_stays() {
    let body = r#"{"model": "chat", "num_retries": 1, "fallbacks": ["a"]}"#;
    let mut request = asking("/", body, &[("x-litellm-timeout", "3")]);
    Overrides::default().set(&mut request);
    Fallbacks::new(["mine"]).set(&mut request);
    let request = below(InspectLayer::new(), request).await.unwrap();
    assert_eq!(Overrides::of(&request), Some(&Overrides::default()));
    assert_eq!(groups(&request).unwrap(), ["mine"]);
}

#[tokio::test]
async fn a_counter_of_ones_own_counts_now_or_later() {
    struct Later;
    impl TokenCounter for Later {
        fn count(&self, prompt: &Prompt) -> Count {
            let tokens = prompt.text_len();
            Count::Later(Box::pin(async move {
                tokio::task::yield_now().await;
                Some(tokens)
            }))
        }
    }
    let body = r#"{"model": "chat", "input": "12345"}"#;
    let tokens = |request: &Request<ReplayBody>| Demand::of(request).unwrap().input_tokens;
    let layer = InspectLayer::new().counter(|prompt: &Prompt| prompt.text_len() * 2);
    assert_eq!(tokens(&below(layer, asking("/", body, &[])).await.unwrap()), Some(10));
    let layer = InspectLayer::new().counter(Later);
    assert_eq!(tokens(&below(layer, asking("/", body, &[])).await.unwrap()), Some(5));
}

#[test]
fn what_is_for_litellms_proxy_stands_in_the_docs() {
    let docs = include_str!("../inspect.rs");
    for name in FOR_PROXY.iter().chain([&MOCK_TESTING]) {
        assert!(docs.contains(&format!("`{name}`")), "{name}");
    }
}

/// What a request has an affinity to, by these sources: the answer it goes on from, the key, whether that is a guess.
async fn kept_by(
    sources: &[AffinitySource],
    body: &'static str,
    headers: &[(&'static str, &str)],
) -> (Option<String>, Option<String>, bool) {
    let layer = InspectLayer::new().affinity(sources.iter().cloned());
    let request = below(layer, asking("/v1/responses", body, headers)).await.unwrap();
    let demand = Demand::of(&request).unwrap();
    let owned = |key: &Option<Arc<str>>| key.as_ref().map(ToString::to_string);
    (owned(&demand.continues), owned(&demand.affinity), demand.affinity_is_guess)
}

#[tokio::test]
async fn the_first_source_that_a_request_has_is_its_key() {
    use AffinitySource::{Caller, Header, PreviousResponse, PromptCacheKey, SessionHeader};
    let body = r#"{"model": "m", "user": "u", "previous_response_id": "resp_1", "prompt_cache_key": "cache"}"#;
    let session = ("x-litellm-session-id", "session");
    let caller = ("authorization", "Bearer abc");
    let all = [session, caller, ("x-mine", "mine")];
    let own = Header(HeaderName::from_static("x-mine"));
    for (sources, headers, key, is_guess) in [
        (&[SessionHeader, PromptCacheKey][..], &all[..], Some("session"), false),
        (&[PromptCacheKey, SessionHeader], &all, Some("cache"), true),
        (&[own.clone(), SessionHeader], &all, Some("mine"), false),
        (&[own, SessionHeader, Caller], &[caller], Some("ba7816bf8f01cfea414140de5dae2223"), true),
        (&[SessionHeader, Caller], &[], None, false),
    ] {
        let kept = kept_by(sources, body, headers).await;
        assert_eq!(kept, (None, key.map(Into::into), is_guess), "{sources:?}");
    }
    let first = kept_by(&[PreviousResponse, PromptCacheKey], body, &all).await;
    assert_eq!(first, (Some("resp_1".into()), Some("cache".into()), true));
    // After a key that is there it is not looked at.
    let last = kept_by(&[PromptCacheKey, PreviousResponse], body, &all).await;
    assert_eq!(last, (None, Some("cache".into()), true));
    let nothing = r#"{"model": "m", "previous_response_id": null, "prompt_cache_key": " "}"#;
    assert_eq!(
        kept_by(&[PreviousResponse, PromptCacheKey], nothing, &[]).await,
        (None, None, false)
    );
}

#[tokio::test]
async fn by_default_a_request_is_kept_by_what_its_caller_says_and_by_no_guess() {
    let body = r#"{"model": "m", "user": "u", "previous_response_id": "resp_1", "prompt_cache_key": "cache"}"#;
    let headers = [("x-litellm-session-id", "s"), ("authorization", "Bearer abc")];
    let request = below(InspectLayer::new(), asking("/", body, &headers)).await.unwrap();
    let demand = Demand::of(&request).unwrap();
    assert_eq!(
        (demand.continues.as_deref(), demand.affinity.as_deref()),
        (Some("resp_1"), Some("s"))
    );
    // They are the provider's too.
    assert_eq!(request.body().size_hint().exact(), Some(body.len() as u64));
    assert_eq!(request.headers()["authorization"], "Bearer abc");
    assert!(!format!("{demand:?}").contains("abc"), "{demand:?}");
    let request = below(InspectLayer::new(), asking("/", body, &headers[1..])).await.unwrap();
    assert_eq!(Demand::of(&request).unwrap().affinity, None);
}

#[tokio::test]
async fn a_long_key_is_kept_as_its_digest() {
    let long = "s".repeat(129);
    let headers = [("x-litellm-session-id", &*long)];
    let (_, key, _) =
        kept_by(&[AffinitySource::SessionHeader], r#"{"model": "m"}"#, &headers).await;
    assert_eq!(key.unwrap().len(), 32);
}

#[tokio::test]
async fn a_strategy_is_asked_for_by_header_or_member_and_an_unknown_one_can_be_refused() {
    let body = r#"{"model": "m", "routing_strategy": "cost"}"#;
    let header = [("x-routing-strategy", "busy")];
    for (headers, expected) in [(&[][..], "cost"), (&header, "busy")] {
        let request = below(InspectLayer::new(), asking("/", body, headers)).await.unwrap();
        assert_eq!(Demand::of(&request).unwrap().strategy.as_deref(), Some(expected));
        assert!(!request.headers().contains_key("x-routing-strategy"));
    }
    let reason = "names no strategy that requests can be routed by here";
    for (known, headers, error) in [
        ("cost", &header[..], Some(format!("x-routing-strategy: {reason}"))),
        ("busy", &header, None),
        ("busy", &[], Some(format!("routing_strategy: {reason}"))),
        ("cost", &[], None),
    ] {
        let layer = InspectLayer::new().strategies([known]);
        let refused = below(layer, asking("/", body, headers)).await.err();
        assert_eq!(refused.as_ref().map(ToString::to_string), error, "no deployment failed");
        let refused = refused.as_ref().and_then(InspectError::of).map(ToString::to_string);
        assert_eq!(refused, error);
    }
}
