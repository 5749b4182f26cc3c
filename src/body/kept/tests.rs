use std::{
    convert::Infallible,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Empty, Full};
use proptest::prelude::*;

use super::*;

/// What a body does at a poll.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Pending,
    Data(Bytes),
    Trailers(HeaderMap),
    Broken,
}

/// Goes through its steps, and panics when it is polled after its end.
#[derive(Debug)]
struct Script {
    steps: VecDeque<Step>,
    /// Whether it says ahead of time how long it is and when it has ended.
    foretells: bool,
    ended: bool,
}

impl Script {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), foretells: false, ended: false }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        assert!(!self.ended, "polled after its end");
        let item = match self.steps.pop_front() {
            Some(Step::Pending) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Step::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Step::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Step::Broken) => Some(Err("broken")),
            None => None,
        };
        self.ended = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.foretells && self.steps.iter().all(|step| *step == Step::Pending)
    }

    fn size_hint(&self) -> SizeHint {
        if !self.foretells || self.steps.contains(&Step::Broken) {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.steps.iter().map(length).sum())
    }
}

fn length(step: &Step) -> u64 {
    if let Step::Data(data) = step { data.len() as u64 } else { 0 }
}

fn data(text: &str) -> Step {
    Step::Data(Bytes::copy_from_slice(text.as_bytes()))
}

fn trailers() -> Step {
    Step::Trailers(
        [(http::header::ETAG, http::HeaderValue::from_static("e"))].into_iter().collect(),
    )
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn kept_of<B: Body>(body: B) -> KeptBody<B> {
    KeptBody::keep(Response::new(body).into_parts()).into_body()
}

/// Reads it ahead as far as that goes.
fn keep<B: Body + Unpin>(body: B) -> KeptBody<B> {
    let mut kept = kept_of(body);
    for _ in 0..1000 {
        if kept.poll_keep(&mut context()).is_ready() {
            break;
        }
    }
    kept
}

/// The next frame or error; none at the end.
fn next(kept: &mut KeptBody<Script>) -> Option<Step> {
    loop {
        let Poll::Ready(item) = Pin::new(&mut *kept).poll_frame(&mut context()) else { continue };
        return item.map(|item| match item.map(Frame::into_data) {
            Ok(Ok(data)) => Step::Data(data),
            Ok(Err(frame)) => Step::Trailers(frame.into_trailers().unwrap()),
            Err(_) => Step::Broken,
        });
    }
}

fn rest(kept: &mut KeptBody<Script>) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(step) = next(kept) {
        let broken = step == Step::Broken;
        steps.push(step);
        if broken {
            break;
        }
    }
    steps
}

fn read_ahead<B: Body>(kept: &KeptBody<B>) -> (usize, bool) {
    let Inner::Kept { kept } = &kept.inner else { panic!("it is not kept") };
    (kept.frames.len(), kept.rest.is_none())
}

#[test]
fn a_body_read_to_its_end_is_let_go_and_yields_what_it_held() {
    let mut kept = keep(Script::new([data("a"), Step::Pending, data("b"), trailers()]));
    assert_eq!(read_ahead(&kept), (3, true));
    assert_eq!(rest(&mut kept), [data("a"), data("b"), trailers()]);
    assert!(kept.is_end_stream());
    assert_eq!(next(&mut kept), None);
}

#[test]
fn an_error_comes_after_what_came_before_it_and_once() {
    let mut kept = keep(Script::new([data("a"), Step::Broken]));
    assert_eq!(read_ahead(&kept), (1, true));
    assert_eq!((kept.size_hint().lower(), kept.size_hint().upper()), (1, None));
    assert_eq!(rest(&mut kept), [data("a"), Step::Broken]);
    assert_eq!(next(&mut kept), None);
}

#[test]
fn at_an_error_that_is_to_come_it_has_not_ended() {
    let kept = keep(Script::new([Step::Broken]));
    assert!(!kept.is_end_stream());
    assert_ne!(kept.size_hint().exact(), Some(0));
}

#[test]
fn beyond_the_limit_the_rest_stays_unread() {
    let chunk = Step::Data(Bytes::from(vec![b'x'; LIMIT / 2]));
    let steps: Vec<_> = vec![chunk; 5];
    let mut kept = keep(Script::new(steps.clone()));
    assert_eq!(read_ahead(&kept), (2, false));
    assert_eq!(rest(&mut kept), steps);
}

#[test]
fn an_endless_run_of_empty_frames_fills_neither_time_nor_memory() {
    struct Hollow;
    impl Body for Hollow {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
        }
    }
    let (frames, ended) = read_ahead(&keep(Hollow));
    assert!(frames <= LIMIT && !ended);
}

#[test]
fn a_size_at_the_end_of_all_numbers_does_not_overflow() {
    struct Vast;
    impl Body for Vast {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; LIMIT])))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(u64::MAX)
        }
    }
    assert_eq!(keep(Vast).size_hint().exact(), Some(u64::MAX));
}

#[test]
fn a_body_that_says_when_it_ends_is_not_asked_again() {
    let kept = keep(Full::new(Bytes::from("abc")));
    assert_eq!(read_ahead(&kept), (1, true));
    assert_eq!(kept.size_hint().exact(), Some(3));
    assert!(keep(Empty::<Bytes>::new()).is_end_stream());
}

#[tokio::test]
async fn a_live_body_is_itself() {
    let mut live =
        KeptBody::live(Response::new(Full::new(Bytes::from("abc"))).into_parts()).into_body();
    assert!(live.poll_keep(&mut context()).is_ready());
    assert_eq!((live.size_hint().exact(), live.is_end_stream()), (Some(3), false));
    assert_eq!(live.collect().await.unwrap().to_bytes(), "abc");
}

#[cfg(feature = "llm")]
#[test]
fn what_a_body_begins_with_can_be_read_before_it_is_handed_on() {
    let script =
        Script::new([data("ab"), data(""), trailers(), Step::Pending, data("c"), data("d")]);
    let mut kept = KeptBody::to_read_ahead(script);
    let mut ahead = |count: usize| {
        for _ in 0..count {
            let _ = kept.poll_one_ahead(&mut context());
        }
        (kept.read_ahead().into_owned(), kept.size_ahead(), kept.is_whole())
    };
    assert_eq!(ahead(0), (b"".to_vec(), 0, false));
    assert_eq!(ahead(1), (b"ab".to_vec(), 2, false));
    assert_eq!(ahead(2), (b"ab".to_vec(), 4, false));
    assert_eq!(ahead(2), (b"abc".to_vec(), 5, false));
    assert_eq!(ahead(2), (b"abcd".to_vec(), 6, true));
    assert_eq!(ahead(5), (b"abcd".to_vec(), 6, true));
    assert_eq!(rest(&mut kept), [data("ab"), data(""), trailers(), data("c"), data("d")]);
}

#[cfg(feature = "llm")]
#[test]
fn an_error_met_while_reading_ahead_can_be_taken_or_left() {
    for take in [false, true] {
        let mut kept = keep(Script::new([data("a"), Step::Broken]));
        assert!(kept.is_broken() && !kept.is_whole());
        let taken = if take { kept.take_error() } else { None };
        assert_eq!(taken, take.then_some("broken"));
        let left: &[_] = if take { &[data("a")] } else { &[data("a"), Step::Broken] };
        assert_eq!(rest(&mut kept), left);
    }
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Pending),
        5 => (0..2 * LIMIT / 3).prop_map(|size| Step::Data(Bytes::from(vec![b'x'; size]))),
        1 => Just(Step::Data(Bytes::new())),
    ];
    let last = prop_oneof![Just(vec![]), Just(vec![trailers()]), Just(vec![Step::Broken])];
    (proptest::collection::vec(step, 0..8), last).prop_map(|(mut steps, last)| {
        steps.extend(last);
        steps
    })
}

proptest! {
    #[test]
    fn however_far_it_is_read_ahead_the_content_is_the_same(
        steps in steps(),
        foretells: bool,
        polls in proptest::collection::vec(any::<bool>(), 0..12),
    ) {
        let expected: Vec<_> =
            steps.iter().filter(|step| **step != Step::Pending).cloned().collect();
        let mut kept = kept_of(Script { foretells, ..Script::new(steps) });
        let mut seen = Vec::new();
        let mut ended = false;
        for ahead in polls {
            let left: u64 = expected[seen.len()..].iter().map(length).sum();
            let hint = kept.size_hint();
            prop_assert!(hint.lower() <= left);
            prop_assert!(hint.upper().is_none_or(|upper| upper >= left));
            prop_assert!(!kept.is_end_stream() || seen.len() == expected.len());
            if ahead {
                let _ = kept.poll_keep(&mut context());
            } else if !ended {
                match next(&mut kept) {
                    Some(step) => {
                        ended = step == Step::Broken;
                        seen.push(step);
                    }
                    None => ended = true,
                }
            }
        }
        if !ended {
            seen.extend(rest(&mut kept));
        }
        prop_assert_eq!(seen, expected);
    }
}
