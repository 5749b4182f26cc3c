//! However a request ends, its place is given back, once.

use std::{future::poll_fn, pin::pin};

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio_test::{assert_pending, task};
use tower_fleet::balance::ResponseBody;

use super::{
    script::Part::{Data, Error as Broken, Stall, Trailers},
    *,
};

/// The deployment, and the response to one request.
async fn ask(
    script: Script,
    method: Method,
    status: u16,
) -> (Deployment, Response<ResponseBody<Script>>) {
    let a = Deployment::new("a");
    let service = service_fn(move |_: Request<()>| {
        let mut response = Response::new(script.clone());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        async move { Ok::<_, Infallible>(response) }
    });
    let pool = Balance::new(LeastBusy, [(a.clone(), service)]);
    let mut request = request();
    *request.method_mut() = method;
    let response = pool.oneshot(request).await.expect("an answer");
    (a, response)
}

/// Reads `frames` frames of a GET, and returns what was in flight before each and at the end.
async fn in_flight_while_reading(script: Script, frames: usize) -> Vec<usize> {
    let (a, mut response) = ask(script, Method::GET, 200).await;
    let mut seen = vec![a.in_flight()];
    for _ in 0..frames {
        let _ = response.body_mut().frame().await;
        seen.push(a.in_flight());
    }
    drop(response);
    assert_eq!(a.in_flight(), 0, "after the drop");
    seen
}

#[tokio::test(start_paused = true)]
async fn a_body_is_in_flight_until_its_end_however_it_ends() {
    let cases: [(&str, Script, &[usize]); 8] = [
        ("empty at the head", Script::new([]).saying_end(), &[0]),
        ("empty, not saying so", Script::new([]), &[1, 0]),
        ("a last frame that says so", Script::new([Data, Data]).saying_end(), &[1, 1, 0]),
        ("trailers", Script::new([Data, Trailers]), &[1, 1, 0]),
        ("none", Script::new([Data]), &[1, 1, 0]),
        ("an error", Script::new([Data, Broken, Data]), &[1, 1, 0, 0]),
        ("midway", Script::new([Data, Data]), &[1, 1]),
        ("every announced byte", Script::new([Data, Data]).saying_length(), &[1, 1, 1]),
    ];
    for (name, script, want) in cases {
        assert_eq!(in_flight_while_reading(script, want.len() - 1).await, want, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_body_by_the_rules_is_over_at_its_head() {
    let open = || Script::new([Stall]);
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 204), (Method::GET, 304)] {
        let (a, _response) = ask(open(), method.clone(), status).await;
        assert_eq!(a.in_flight(), 0, "{method} {status}");
    }
    let (a, _response) = ask(open(), Method::GET, 200).await;
    assert_eq!(a.in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_gives_its_place_back() {
    let a = Deployment::new("a");
    let pool = Balance::new(LeastBusy, [(a.clone(), answering(Script::new([Data, Data, Stall])))]);
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut response = pool.clone().oneshot(request()).await.expect("an answer");
        response.body_mut().frame().await.expect("a frame").expect("data");
        streams.push(response);
    }
    assert_eq!(a.in_flight(), 3);
    drop(streams);
    assert_eq!(a.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn cancelled_requests_give_their_places_back_at_once() {
    let a = Deployment::new("a");
    let mut pool = Balance::new(LeastBusy, [(a.clone(), silent())]);
    let mut waiting: Vec<_> = (0..6).map(|_| task::spawn(pool.call(request()))).collect();
    waiting.iter_mut().skip(3).for_each(|future| assert_pending!(future.poll()));
    assert_eq!(a.in_flight(), 6);
    drop(waiting);
    assert_eq!(a.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_gives_the_place_back_and_is_kept_whole() {
    let a = Deployment::new("a");
    let service = service_fn(|_: Request<()>| async {
        Err::<Response<Script>, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    let pool = Balance::new(LeastBusy, [(a.clone(), service)]);
    let Err(Error::Service(error)) = pool.oneshot(request()).await else {
        panic!("it answered");
    };
    assert!(error.is::<std::io::Error>());
    assert_eq!((a.in_flight(), a.picked()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_finished_future_holds_nothing_while_it_is_kept() {
    let a = Deployment::new("a");
    let pool = Balance::new(LeastBusy, [(a.clone(), answering(Script::new([Stall])))]);
    let mut future = pin!(pool.clone().call(request()));
    let response = poll_fn(|cx| future.as_mut().poll(cx)).await.expect("an answer");
    drop(response);
    assert_eq!(a.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_panics_gives_the_place_back() {
    let a = Deployment::new("a");
    let service = service_fn(|request: Request<bool>| {
        assert!(!*request.body(), "in the call");
        async {
            if true {
                panic!("in the future")
            } else {
                Ok::<_, Infallible>(Response::new(Script::default()))
            }
        }
    });
    let pool = Balance::new(LeastBusy, [(a.clone(), service)]);
    for in_call in [true, false] {
        let task = tokio::spawn(pool.clone().oneshot(Request::new(in_call)));
        assert!(task.await.is_err_and(|error| error.is_panic()));
        assert_eq!(a.in_flight(), 0);
    }
}
