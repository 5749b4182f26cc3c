use std::{
    collections::VecDeque,
    ptr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use bytes::Buf;
use http::HeaderMap;
use http_body_util::{BodyExt, Empty, Full};
use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio_test::{assert_pending, assert_ready, task};

use super::*;

const LIMIT: usize = 10;

const _: () = {
    const fn assert<T: Send + Sync + Unpin + fmt::Debug + 'static>() {}
    assert::<ReplayBody>();
};

/// A body that does what it is told, and panics when polled after its end.
#[derive(Clone, Debug, Default)]
struct Script {
    steps: VecDeque<Step>,
    exact: bool,
    over: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Data(Bytes),
    Trailers,
    Pending,
    Error,
}

impl Script {
    fn of<const N: usize>(chunks: [&'static str; N]) -> Self {
        let steps = chunks.map(|chunk| Step::Data(chunk.into())).into();
        Self { steps, ..Self::default() }
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    fn replay(self) -> ReplayBody {
        ReplayBody::new(self, LIMIT)
    }

    fn len(&self) -> usize {
        let len = |step: &Step| if let Step::Data(chunk) = step { chunk.len() } else { 0 };
        self.steps.iter().map(len).sum()
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        assert!(!self.over, "polled after its end");
        Poll::Ready(match self.steps.pop_front() {
            Some(Step::Data(chunk)) => Some(Ok(Frame::data(chunk))),
            Some(Step::Trailers) => Some(Ok(Frame::trailers(trailers()))),
            Some(Step::Error) => Some(Err("upload broke".into())),
            Some(Step::Pending) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => {
                self.over = true;
                None
            }
        })
    }

    fn size_hint(&self) -> SizeHint {
        if self.exact { SizeHint::with_exact(self.len() as u64) } else { SizeHint::default() }
    }
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("v1"))])
}

fn poll(body: &mut ReplayBody) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    Pin::new(body).poll_frame(&mut Context::from_waker(std::task::Waker::noop()))
}

fn next(body: &mut ReplayBody) -> Option<Result<Frame<Bytes>, BoxError>> {
    loop {
        if let Poll::Ready(item) = poll(body) {
            return item;
        }
    }
}

fn chunk(body: &mut ReplayBody) -> Bytes {
    next(body).expect("not ended").expect("no error").into_data().expect("data")
}

/// Why the reader cannot go on; asserts that it says so once, and then ends.
fn refusal(body: &mut ReplayBody) -> NotReplayable {
    let error = next(body).expect("not ended").expect_err("an error");
    assert!(next(body).is_none());
    *error.downcast().expect("NotReplayable")
}

/// Reads to the end, polls once more, and checks the hints on the way.
fn read(body: &mut ReplayBody) -> Result<(Vec<u8>, Option<HeaderMap>), BoxError> {
    let (mut data, mut trailers, mut hints) = (Vec::new(), None, Vec::new());
    loop {
        hints.push((data.len(), body.size_hint()));
        let ended = body.is_end_stream();
        let item = next(body).transpose()?;
        assert!(!ended || item.is_none(), "a frame after the end");
        match item.map(Frame::into_data) {
            Some(Ok(chunk)) => data.extend_from_slice(&chunk),
            Some(Err(frame)) => trailers = frame.into_trailers().ok(),
            None => break,
        }
    }
    for (sent, hint) in hints {
        let left = (data.len() - sent) as u64;
        assert!(hint.lower() <= left && hint.upper().is_none_or(|upper| left <= upper));
    }
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
    assert!(next(body).is_none());
    Ok((data, trailers))
}

fn text(body: &mut ReplayBody) -> String {
    String::from_utf8(read(body).unwrap().0).unwrap()
}

fn exact(body: &ReplayBody) -> Option<u64> {
    body.size_hint().exact()
}

#[test]
fn an_attempt_that_read_nothing_leaves_the_whole_body() {
    let first = Script::of(["ab", "cd"]).replay();
    let mut second = first.share();
    drop(first);
    assert_eq!(text(&mut second), "abcd");
}

#[test]
fn an_attempt_that_was_only_pending_leaves_the_whole_body() {
    let mut first = Script::default().then(Step::Pending).then(Step::Data("ab".into())).replay();
    let mut second = first.share();
    assert!(poll(&mut first).is_pending());
    drop(first);
    assert_eq!(text(&mut second), "ab");
}

#[test]
fn a_half_sent_body_is_handed_over() {
    let mut first = Script::of(["ab", "cd", "ef"]).then(Step::Trailers).replay();
    let mut second = first.share();
    assert_eq!(chunk(&mut first), "ab");
    assert_eq!(chunk(&mut first), "cd");
    drop(first);
    assert_eq!(second.replayable(), Ok(()));
    assert_eq!(chunk(&mut second), "ab");
    let mut third = second.share();
    drop(second);
    assert_eq!(read(&mut third).unwrap(), (b"abcdef".into(), Some(trailers())));
}

#[test]
fn a_reader_shared_midway_starts_from_the_first_byte() {
    let mut first = Script::of(["ab", "cd"]).replay();
    chunk(&mut first);
    let mut second = first.share();
    drop(first);
    assert_eq!(text(&mut second), "abcd");
}

#[test]
fn a_sent_body_is_sent_again_and_the_inner_body_left_alone() {
    let mut first = Script::of(["ab", "cd"]).replay();
    assert_eq!(text(&mut first), "abcd");
    for _ in 0..3 {
        assert_eq!(text(&mut first.share()), "abcd");
    }
}

#[test]
fn nothing_is_read_ahead() {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let inner = Script::of(["ab", "cd"]).map_frame(move |frame| {
        counter.fetch_add(1, Relaxed);
        frame
    });
    let mut first = ReplayBody::new(inner, LIMIT);
    let mut second = first.share();
    assert_eq!(read.load(Relaxed), 0);
    chunk(&mut first);
    chunk(&mut second);
    assert_eq!(read.load(Relaxed), 1);
}

#[test]
fn a_body_of_exactly_the_limit_is_replayable() {
    let mut first = Script::of(["01234", "56789"]).replay();
    assert_eq!(text(&mut first), "0123456789");
    assert_eq!(first.replayable(), Ok(()));
    assert_eq!(text(&mut first.share()), "0123456789");
}

#[test]
fn a_body_one_byte_over_the_limit_is_sent_once() {
    let mut first = Script::of(["01234", "56789", "x", "yz"]).then(Step::Trailers).replay();
    let mut amid_the_record = first.share();
    assert_eq!(chunk(&mut first), "01234");
    assert_eq!(chunk(&mut amid_the_record), "01234");
    assert_eq!(read(&mut first).unwrap(), (b"56789xyz".into(), Some(trailers())));

    let too_large = NotReplayable::TooLarge { limit: LIMIT };
    assert_eq!(first.replayable(), Err(too_large));
    assert_eq!(refusal(&mut amid_the_record), too_large);
    assert_eq!(refusal(&mut first.share()), too_large);
}

#[test]
fn a_record_over_the_limit_is_let_go() {
    let owner = Arc::new(*b"ab");
    let recorded = || Arc::strong_count(&owner) - 1;
    // Each chunk counts as an owner as long as anybody keeps it.
    let chunk_of = |owner: &Arc<[u8; 2]>| Bytes::from_owner(Owned(Arc::clone(owner)));
    let steps = [chunk_of(&owner), "0123456789".into(), chunk_of(&owner)].map(Step::Data);
    let mut first = Script { steps: steps.into(), ..Script::default() }.replay();
    assert_eq!(chunk(&mut first), "ab");
    assert_eq!(recorded(), 2);
    assert_eq!(chunk(&mut first), "0123456789");
    assert_eq!(recorded(), 1);
    assert_eq!(chunk(&mut first), "ab");
    assert_eq!(recorded(), 0);
}

struct Owned(Arc<[u8; 2]>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &*self.0
    }
}

#[test]
fn a_body_that_says_it_is_too_large_is_passed_through() {
    let too_large = NotReplayable::TooLarge { limit: LIMIT };
    let saved = Script::of(["01234", "567890"]).exact().replay();
    let mut first = saved.share();
    assert_eq!(saved.replayable(), Ok(()), "nothing of it was read yet");
    assert_eq!(exact(&first), Some(11));
    assert_eq!(text(&mut first), "01234567890");
    assert_eq!(saved.replayable(), Err(too_large));
    assert_eq!(refusal(&mut saved.share()), too_large);
}

#[test]
fn a_body_too_large_to_record_is_handed_over_while_nothing_was_read() {
    let saved = Script::default().then(Step::Pending).then(Step::Data("01234567890".into()));
    let saved = saved.exact().replay();
    let mut first = saved.share();
    assert!(poll(&mut first).is_pending());
    assert_eq!(refusal(&mut saved.share()), NotReplayable::StillSending);
    drop(first);
    assert_eq!(text(&mut saved.share()), "01234567890");
}

#[test]
fn a_body_that_nobody_can_read_on_is_dropped() {
    let witness = Arc::new(());
    let alive = Arc::downgrade(&witness);
    let inner = Script::of(["01234567890", "1"]).map_frame(move |frame| {
        let _ = &witness;
        frame
    });
    let mut first = ReplayBody::new(inner, LIMIT);
    let _saved = first.share();
    chunk(&mut first);
    assert!(alive.upgrade().is_some());
    drop(first);
    assert!(alive.upgrade().is_none());
}

#[test]
fn an_early_response_leaves_the_body_with_its_reader() {
    let mut first = Script::of(["ab", "cd"]).replay();
    let mut second = first.share();
    chunk(&mut first);
    assert_eq!(second.replayable(), Err(NotReplayable::StillSending));
    assert_eq!(chunk(&mut second), "ab");
    assert_eq!(refusal(&mut second), NotReplayable::StillSending);

    assert_eq!(text(&mut first), "cd");
    assert_eq!(first.replayable(), Ok(()));
    assert_eq!(text(&mut first.share()), "abcd");
}

#[test]
fn a_refused_reader_does_not_take_the_rest_from_its_holder() {
    let mut first = Script::of(["ab", "cd"]).replay();
    chunk(&mut first);
    let mut second = first.share();
    chunk(&mut second);
    assert_eq!(refusal(&mut second), NotReplayable::StillSending);
    drop(second);
    assert_eq!(first.replayable(), Err(NotReplayable::StillSending));
    assert_eq!(text(&mut first), "cd");
}

#[test]
fn a_reader_that_was_not_polled_holds_nothing() {
    let mut first = Script::of(["ab"]).replay();
    let mut second = first.share();
    assert_eq!(second.replayable(), Ok(()));
    assert_eq!(chunk(&mut second), "ab");
    assert_eq!(chunk(&mut first), "ab");
    assert_eq!(refusal(&mut first), NotReplayable::StillSending);
}

#[test]
fn a_response_after_the_last_byte_is_not_early() {
    // `Full` knows that it has ended without another poll, and a client with a content-length makes none.
    let mut first = ReplayBody::new(Full::new(Bytes::from("ab")), LIMIT);
    chunk(&mut first);
    assert!(first.is_end_stream());
    assert_eq!(first.replayable(), Ok(()));
    assert_eq!(text(&mut first.share()), "ab");
}

#[test]
fn trailers_are_sent_again() {
    let mut first = Script::of(["ab"]).then(Step::Trailers).replay();
    for _ in 0..2 {
        let mut body = first.share();
        assert_eq!(chunk(&mut body), "ab");
        assert!(!body.is_end_stream(), "trailers are pending");
        assert!(next(&mut body).unwrap().unwrap().is_trailers());
        assert!(body.is_end_stream());
        assert!(next(&mut body).is_none());
    }
    assert_eq!(read(&mut first).unwrap().1, Some(trailers()));
}

#[test]
fn trailers_of_a_body_without_data_are_kept() {
    let mut first = Script::default().then(Step::Trailers).exact().replay();
    let mut second = first.share();
    assert_eq!(exact(&first), Some(0));
    assert!(!first.is_end_stream());
    assert_eq!(read(&mut first).unwrap(), (vec![], Some(trailers())));
    assert_eq!(exact(&second), Some(0));
    assert!(!second.is_end_stream());
    assert_eq!(read(&mut second).unwrap(), (vec![], Some(trailers())));
}

#[test]
fn the_size_hint_is_the_original_until_something_is_read() {
    let original = Script::of(["ab", "cd"]).exact();
    let body = original.clone().replay();
    assert_eq!(exact(&body), Some(4));
    assert_eq!(exact(&body.share()), Some(4));
    let body = Script::of(["ab"]).replay();
    assert_eq!((body.size_hint().lower(), body.size_hint().upper()), (0, None));
}

#[test]
fn the_size_hint_of_a_later_attempt_is_the_record_and_the_rest() {
    let mut first = Script::of(["ab", "cde"]).exact().replay();
    chunk(&mut first);
    assert_eq!(exact(&first), Some(3));
    let mut second = first.share();
    drop(first);
    assert_eq!(exact(&second), Some(5));
    chunk(&mut second);
    assert_eq!(exact(&second), Some(3));

    let mut first = Script::of(["ab", "cde"]).replay();
    chunk(&mut first);
    let second = first.share();
    assert_eq!((second.size_hint().lower(), second.size_hint().upper()), (2, None));
}

#[test]
fn the_size_hint_is_exact_once_all_is_recorded() {
    let mut first = Script::of(["ab", "cde"]).replay();
    read(&mut first).unwrap();
    let mut second = first.share();
    assert_eq!(exact(&second), Some(5));
    chunk(&mut second);
    assert_eq!(exact(&second), Some(3));
}

#[test]
fn a_reader_that_owes_an_error_does_not_look_empty() {
    let owing = |mut first: ReplayBody| {
        let second = first.share();
        let _ = next(&mut first);
        assert_eq!(exact(&second), None);
        assert!(!second.is_end_stream());
    };
    owing(Script::of(["01234567890"]).replay());
    owing(Script::of(["01234567890"]).exact().replay());
    owing(Script::default().then(Step::Error).exact().replay());
    owing(ReplayBody::new(Full::new(Bytes::from("01234567890")), LIMIT));

    let mut first = Script::default().then(Step::Pending).then(Step::Trailers).exact().replay();
    let second = first.share();
    assert!(poll(&mut first).is_pending());
    assert_eq!(exact(&second), None);
}

#[test]
fn an_error_of_the_inner_body_is_passed_on_once_and_then_known() {
    let mut first = Script::of(["ab"]).then(Step::Error).replay();
    let mut second = first.share();
    chunk(&mut first);
    chunk(&mut second);
    assert_eq!(next(&mut first).unwrap().unwrap_err().to_string(), "upload broke");
    assert!(first.is_end_stream());
    assert!(next(&mut first).is_none());

    assert_eq!(first.replayable(), Err(NotReplayable::Failed));
    assert_eq!(refusal(&mut second), NotReplayable::Failed);
    assert_eq!(refusal(&mut first.share()), NotReplayable::Failed);
}

#[test]
fn an_error_before_the_first_byte_is_known_too() {
    let mut first = Script::default().then(Step::Error).replay();
    assert!(next(&mut first).unwrap().is_err());
    assert_eq!(refusal(&mut first.share()), NotReplayable::Failed);
}

#[test]
fn a_finished_body_has_any_number_of_readers_at_the_same_time() {
    let mut first = Script::of(["ab", "cd"]).then(Step::Trailers).replay();
    read(&mut first).unwrap();
    let mut readers = [first.share(), first.share(), first.share()];
    for expected in ["ab", "cd"] {
        for reader in &mut readers {
            assert_eq!(chunk(reader), expected);
        }
    }
    for reader in &mut readers {
        assert_eq!(reader.replayable(), Ok(()));
        assert_eq!(read(reader).unwrap().1, Some(trailers()));
    }
}

#[test]
fn readers_that_follow_the_holder_send_the_same() {
    let mut first = Script::of(["ab", "cd"]).replay();
    let mut second = first.share();
    for expected in ["ab", "cd"] {
        assert_eq!(chunk(&mut first), expected);
        assert_eq!(chunk(&mut second), expected);
    }
    assert!(next(&mut first).is_none());
    assert!(next(&mut second).is_none());
}

#[test]
fn of_many_threads_one_holds_the_rest() {
    let saved = Script::default().then(Step::Pending).then(Step::Data("ab".into())).replay();
    let mut readers = [(); 8].map(|()| saved.share());
    let holders = thread::scope(|scope| {
        let polls = readers.each_mut().map(|reader| scope.spawn(|| poll(reader)));
        polls.map(|poll| poll.join().unwrap()).iter().filter(|poll| poll.is_pending()).count()
    });
    assert_eq!(holders, 1);
}

/// A body of one chunk that comes later.
struct Later(oneshot::Receiver<Bytes>);

impl Body for Later {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let received = Pin::new(&mut self.0).poll(cx);
        received.map_ok(Frame::data).map_err(Into::into).map(Some)
    }
}

#[test]
fn a_handed_over_body_wakes_its_new_reader() {
    let (sender, inner) = oneshot::channel();
    let mut first = task::spawn(ReplayBody::new(Later(inner), LIMIT));
    let mut second = task::spawn(first.share());
    assert_pending!(first.enter(|cx, body| body.poll_frame(cx)));
    drop(first);
    assert_pending!(second.enter(|cx, body| body.poll_frame(cx)));

    sender.send("ab".into()).unwrap();
    assert!(second.is_woken());
    let frame = assert_ready!(second.enter(|cx, body| body.poll_frame(cx)));
    assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "ab");
}

#[test]
fn empty_bodies_take_no_lock_and_no_allocation() {
    for mut body in [
        ReplayBody::empty(),
        ReplayBody::default(),
        ReplayBody::from(Bytes::new()),
        ReplayBody::new(Empty::<Bytes>::new(), LIMIT),
        ReplayBody::new(Full::new(Bytes::new()), LIMIT),
    ] {
        assert!(matches!(body.reader, Reader::Whole { .. }));
        assert!(body.is_end_stream());
        assert!(body.share().is_end_stream());
        assert_eq!(exact(&body), Some(0));
        assert!(next(&mut body).is_none());
        assert_eq!(body.replayable(), Ok(()));
    }
}

#[test]
fn a_body_that_is_whole_from_the_start_takes_no_lock() {
    // Longer than any limit: what is in memory anyway needs none.
    let mut first = ReplayBody::from(Bytes::from("a body of more than the limit"));
    assert!(matches!(first.reader, Reader::Whole { .. }));
    let mut second = first.share();
    assert_eq!(chunk(&mut first), "a body of more than the limit");
    assert_eq!(text(&mut second), "a body of more than the limit");
    assert_eq!(exact(&first.share()), Some(29));
    assert!(first.is_end_stream());
    assert!(next(&mut first).is_none());
    assert_eq!(first.replayable(), Ok(()));
}

#[test]
fn a_replay_body_is_not_wrapped_again() {
    let mut body = Script::of(["ab", "cd"]).replay();
    let saved = body.share();
    chunk(&mut body);
    let body = ReplayBody::new(body, 0);
    let same = match (&body.reader, &saved.reader) {
        (Reader::Captured { capture: a, .. }, Reader::Captured { capture: b, .. }) => {
            Arc::ptr_eq(a, b)
        }
        _ => false,
    };
    assert!(same);
    assert_eq!(body.replayable(), Err(NotReplayable::StillSending), "it still holds the rest");
    drop(body);
    assert_eq!(text(&mut saved.share()), "abcd");
}

#[test]
fn bytes_are_not_copied() {
    let original = Bytes::from("ab");
    let mut first = ReplayBody::new(Full::new(original.clone()), LIMIT);
    let mut second = first.share();
    for body in [&mut first, &mut second] {
        assert!(ptr::eq(chunk(body).as_ptr(), original.as_ptr()));
    }
}

#[test]
fn data_of_any_kind_becomes_bytes() {
    let data = Buf::chain(&b"ab"[..], VecDeque::from(*b"cd"));
    let mut first = ReplayBody::new(Full::new(data), LIMIT);
    let mut second = first.share();
    assert_eq!(chunk(&mut first), "abcd");
    assert_eq!(chunk(&mut second), "abcd");
}

#[test]
fn empty_chunks_are_passed_on_but_not_recorded() {
    let mut first = Script::of(["", "ab", "", "cd"]).replay();
    assert_eq!(chunk(&mut first), "");
    assert_eq!(text(&mut first), "abcd");
    let mut second = first.share();
    assert_eq!(chunk(&mut second), "ab");
    assert_eq!(chunk(&mut second), "cd");
    assert!(next(&mut second).is_none());
}

#[test]
fn debug_shows_no_content() {
    let mut body = Script::of(["secret"]).replay();
    read(&mut body).unwrap();
    let shown = format!("{body:?} {:?}", ReplayBody::from(Bytes::from("secret")));
    assert_eq!(
        shown,
        "ReplayBody { replayable: Ok(()), .. } ReplayBody { replayable: Ok(()), .. }"
    );
}

prop_compose! {
    fn script()(
        chunks in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..4), any::<bool>()), 0..6),
        with_trailers: bool,
        exact: bool,
    ) -> Script {
        let mut script = Script { exact, ..Script::default() };
        for (chunk, pending) in chunks {
            script.steps.extend(pending.then_some(Step::Pending));
            script.steps.push_back(Step::Data(chunk.into()));
        }
        script.steps.extend(with_trailers.then_some(Step::Trailers));
        script
    }
}

proptest! {
    /// Attempts are each dropped after some polls; then one runs to its end.
    #[test]
    fn an_attempt_that_ends_sent_the_original(
        script in script(),
        limit in 0_usize..20,
        drops in prop::collection::vec(0_usize..12, 0..5),
    ) {
        let original = read(&mut ReplayBody::new(script.clone(), usize::MAX)).unwrap();
        let len = original.0.len();
        let saved = ReplayBody::new(script, limit);
        for polls in drops {
            let mut attempt = saved.share();
            for _ in 0..polls {
                let _ = poll(&mut attempt);
            }
        }
        let replayable = saved.replayable();
        prop_assert!(len > limit || replayable.is_ok(), "{replayable:?}");
        match read(&mut saved.share()) {
            Ok(sent) => prop_assert_eq!(sent, original),
            Err(error) => prop_assert_eq!(replayable, Err(*error.downcast().unwrap())),
        }
    }

    /// Readers are polled in any order, and all stay alive.
    #[test]
    fn readers_at_the_same_time_send_the_original_or_an_error(
        script in script(),
        limit in 0_usize..20,
        turns in prop::collection::vec(0_usize..3, 0..40),
    ) {
        let original = read(&mut ReplayBody::new(script.clone(), usize::MAX)).unwrap();
        let saved = ReplayBody::new(script, limit);
        let mut readers = [(); 3].map(|()| (saved.share(), Vec::new(), None, false));
        for turn in turns.into_iter().chain([0, 1, 2].repeat(20)) {
            let (body, data, trailers, failed) = &mut readers[turn];
            match poll(body) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(chunk) => data.extend_from_slice(&chunk),
                    Err(frame) => *trailers = frame.into_trailers().ok(),
                },
                Poll::Ready(Some(Err(_))) => *failed = true,
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
        let mut whole = 0;
        for (body, data, trailers, failed) in readers {
            prop_assert!(body.is_end_stream());
            if !failed {
                whole += 1;
                prop_assert_eq!((data, trailers), original.clone());
            }
        }
        prop_assert!(whole > 0, "the reader that held the rest ends well");
    }
}

#[test]
fn of_the_limits_of_several_layers_the_highest_holds_while_the_record_is_whole() {
    let whole = || http_body_util::Full::new(Bytes::from_static(&[7; 100]));
    let wrapped = |limits: [usize; 3]| {
        let body = ReplayBody::new(whole(), limits[0]);
        limits[1..].iter().fold(body, |body, limit| ReplayBody::new(body, *limit))
    };
    for limits in [[10, 100, 0], [100, 10, 0], [0, 10, 100]] {
        let (mut first, mut second) = {
            let body = wrapped(limits);
            (body.share(), body)
        };
        read(&mut first).unwrap();
        assert_eq!(read(&mut second).unwrap().0.len(), 100, "{limits:?}");
    }
    let mut first = wrapped([10, 99, 0]);
    let second = first.share();
    read(&mut first).unwrap();
    assert_eq!(second.replayable(), Err(NotReplayable::TooLarge { limit: 99 }));
    let late = ReplayBody::new(second, 200);
    assert_eq!(late.replayable(), Err(NotReplayable::TooLarge { limit: 99 }), "the record is gone");
}
