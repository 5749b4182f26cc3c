use std::{
    collections::VecDeque,
    io,
    pin::pin,
    sync::{Arc, Mutex},
    task::Waker,
};

use bytes::Bytes;

use super::*;

/// What was reported, in order.
#[derive(Clone, Debug, Default)]
struct Ends(Arc<Mutex<Vec<&'static str>>>);

impl OnEnd for Ends {
    fn on_end(self, end: &End<'_>) {
        self.0.lock().unwrap().push(match end {
            End::Complete => "complete",
            End::Trailers(trailers) if trailers.contains_key("grpc-status") => "trailers",
            End::Error(error) if error.is::<io::Error>() => "error",
            End::Dropped => "dropped",
            other => panic!("{other:?}"),
        });
    }
}

impl Ends {
    fn seen(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Data,
    Trailers,
    Error,
    Stall,
}

use Part::{Data, Error as Broken, Stall, Trailers};

#[derive(Debug)]
struct Script {
    parts: VecDeque<Part>,
    says_end: bool,
    length: Option<u64>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if matches!(self.parts.front(), Some(Stall)) {
            return Poll::Pending;
        }
        Poll::Ready(self.parts.pop_front().map(|part| match part {
            Data => {
                self.length = self.length.map(|length| length.saturating_sub(4));
                Ok(Frame::data(Bytes::from_static(b"data")))
            }
            Trailers => {
                let status = (http::HeaderName::from_static("grpc-status"), 0.into());
                Ok(Frame::trailers(HeaderMap::from_iter([status])))
            }
            Broken | Stall => Err(io::ErrorKind::UnexpectedEof.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.says_end && self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn script(parts: &[Part]) -> Script {
    Script { parts: parts.iter().copied().collect(), says_end: false, length: None }
}

fn saying_end(parts: &[Part]) -> Script {
    Script { says_end: true, ..script(parts) }
}

fn of_length(parts: &[Part], length: u64) -> Script {
    Script { length: Some(length), ..script(parts) }
}

/// What was reported at the head, after each of `polls` polls, and after the drop.
fn reports(inner: Script, polls: usize) -> Vec<Vec<&'static str>> {
    let ends = Ends::default();
    let mut cx = Context::from_waker(Waker::noop());
    let mut seen = Vec::new();
    {
        let mut body = pin!(WatchedBody::new(inner, ends.clone()));
        seen.push(ends.seen());
        for _ in 0..polls {
            let _ = body.as_mut().poll_frame(&mut cx);
            seen.push(ends.seen());
        }
    }
    seen.push(ends.seen());
    seen
}

#[test]
fn each_ending_is_reported_once_at_the_first_sign_of_it() {
    const NONE: &[&str] = &[];
    let cases: &[(&str, Script, usize, &[&[&str]])] = &[
        ("empty at the head", saying_end(&[]), 1, &[&["complete"], &["complete"], &["complete"]]),
        ("empty", script(&[]), 1, &[NONE, &["complete"], &["complete"]]),
        (
            "a last frame that says so",
            saying_end(&[Data, Data]),
            3,
            &[NONE, NONE, &["complete"], &["complete"], &["complete"]],
        ),
        ("no more frames", script(&[Data]), 2, &[NONE, NONE, &["complete"], &["complete"]]),
        (
            "trailers",
            script(&[Data, Trailers]),
            3,
            &[NONE, NONE, &["trailers"], &["trailers"], &["trailers"]],
        ),
        ("trailers alone", saying_end(&[Trailers]), 1, &[NONE, &["trailers"], &["trailers"]]),
        (
            "an error, then more",
            script(&[Data, Broken, Data]),
            4,
            &[NONE, NONE, &["error"], &["error"], &["error"], &["error"]],
        ),
        ("an error at once", script(&[Broken]), 1, &[NONE, &["error"], &["error"]]),
        ("never read", script(&[Data]), 0, &[NONE, &["dropped"]]),
        ("dropped midway", script(&[Data, Data]), 1, &[NONE, NONE, &["dropped"]]),
        ("dropped while pending", script(&[Data, Stall]), 2, &[NONE, NONE, NONE, &["dropped"]]),
    ];
    for (name, inner, polls, want) in cases {
        let inner = Script { parts: inner.parts.clone(), ..*inner };
        assert_eq!(reports(inner, *polls), *want, "{name}");
    }
}

#[test]
fn a_reader_that_has_every_announced_byte_need_not_ask_for_the_end() {
    let last = |script, polls| reports(script, polls).pop().unwrap();
    assert_eq!(last(of_length(&[Data, Data], 8), 2), ["complete"]);
    assert_eq!(last(of_length(&[Data, Data], 8), 1), ["dropped"]);
    assert_eq!(last(of_length(&[Data, Stall], 8), 2), ["dropped"]);
    assert_eq!(last(of_length(&[Data, Data], 4), 2), ["complete"], "more than announced");
    assert_eq!(last(of_length(&[Stall], 0), 1), ["complete"]);
    assert_eq!(last(of_length(&[Data, Broken], 4), 2), ["error"], "an error is an error");
}

#[test]
fn a_response_without_a_body_by_the_rules_is_complete_at_its_head() {
    for (method, status, over) in [
        (Method::HEAD, 200, true),
        (Method::GET, 204, true),
        (Method::GET, 304, true),
        (Method::GET, 200, false),
        (Method::POST, 205, false),
    ] {
        let ends = Ends::default();
        let status = StatusCode::from_u16(status).unwrap();
        let body = WatchedBody::of_response(&method, status, script(&[Stall]), ends.clone());
        assert_eq!(!ends.seen().is_empty(), over, "{method} {status}");
        drop(body);
        assert_eq!(ends.seen(), [if over { "complete" } else { "dropped" }]);
    }
}

#[test]
fn frames_errors_and_hints_pass_unchanged() {
    let ends = Ends::default();
    let mut body = pin!(WatchedBody::new(of_length(&[Data, Trailers, Broken], 4), ends));
    let mut cx = Context::from_waker(Waker::noop());
    let mut next = || body.as_mut().poll_frame(&mut cx);
    assert!(matches!(next(), Poll::Ready(Some(Ok(frame))) if frame.is_data()));
    assert!(matches!(next(), Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));
    assert!(matches!(next(), Poll::Ready(Some(Err(error))) if error.is::<io::Error>()));
    assert!(matches!(next(), Poll::Ready(None)));
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(0), false));
}

#[test]
fn an_unwatched_body_reports_nothing() {
    let body: WatchedBody<_, Ends> = WatchedBody::unwatched(script(&[Data]));
    assert!(format!("{body:?}").contains("ended: true"));
}
