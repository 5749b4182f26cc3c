use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{ServiceExt, service_fn};

use super::*;

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
