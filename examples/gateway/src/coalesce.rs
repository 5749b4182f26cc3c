//! Chunks that are there together leave together.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// Chunks are merged until they are so large, or so many.
const ENOUGH_BYTES: usize = 16 * 1024;
const ENOUGH_CHUNKS: usize = 32;

/// So often it says that there is nothing yet. Twice, for hyper's HTTP/1 server asks a body that is not ready once more
/// before it lets others run.
const TURNS: u8 = 2;

pin_project! {
    /// A body that merges the chunks that are there at once, so that a server writes them in one piece.
    ///
    /// Hyper's client hands over one chunk, and the next only after its own task has run again; meanwhile hyper's server
    /// finds nothing more and writes what it has, so that a burst of fifty small chunks costs fifty writes. This body
    /// therefore lets the other tasks run before it gives a chunk away, and again for each that came by then. It never
    /// waits for anything else to happen; and it does not even do so much with the first chunk, which is what the client is
    /// waiting for, and with the last.
    ///
    /// An error lets the chunk before it go out first: hyper's server drops what it has not written yet when a body fails.
    pub(crate) struct Coalesced<B>
    where
        B: Body,
    {
        #[pin]
        inner: B,
        held: Vec<Bytes>,
        // What came after the held chunks and is no chunk: trailers, an error, the end.
        next: Option<Option<Result<Frame<Bytes>, B::Error>>>,
        // Whether the first chunk has been given away.
        begun: bool,
        // Turns the other tasks are still given since the last chunk came.
        turns: u8,
        // Whether the server may have a chunk that it has not written yet.
        unwritten: bool,
    }
}

impl<B: Body> Coalesced<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self { inner, held: Vec::new(), next: None, begun: false, turns: 0, unwritten: false }
    }
}

impl<B: Body<Data = Bytes>> Body for Coalesced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        while this.next.is_none() && !enough(this.held) {
            match this.inner.as_mut().poll_frame(cx).map(into_chunk) {
                Poll::Ready(Ok(chunk)) => {
                    this.held.push(chunk);
                    *this.turns = TURNS;
                    if this.inner.is_end_stream() {
                        break;
                    }
                }
                Poll::Ready(Err(other)) => *this.next = Some(other),
                Poll::Pending if this.held.is_empty() => {
                    *this.unwritten = false;
                    return Poll::Pending;
                }
                Poll::Pending if *this.begun && *this.turns > 0 => {
                    *this.turns -= 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => break,
            }
        }
        if this.held.is_empty() {
            if matches!(this.next, Some(Some(Err(_)))) && std::mem::take(this.unwritten) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(this.next.take().flatten());
        }
        *this.begun = true;
        *this.unwritten = true;
        Poll::Ready(Some(Ok(Frame::data(merge(this.held)))))
    }

    fn is_end_stream(&self) -> bool {
        let at_end = match &self.next {
            Some(next) => next.is_none(),
            None => self.inner.is_end_stream(),
        };
        self.held.is_empty() && at_end
    }

    fn size_hint(&self) -> SizeHint {
        let held = size(&self.held) as u64;
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(held));
        if let Some(upper) = inner.upper().and_then(|upper| upper.checked_add(held)) {
            hint.set_upper(upper);
        }
        hint
    }
}

/// A chunk, or what else came.
fn into_chunk<E>(
    came: Option<Result<Frame<Bytes>, E>>,
) -> Result<Bytes, Option<Result<Frame<Bytes>, E>>> {
    match came {
        Some(Ok(frame)) => frame.into_data().map_err(|other| Some(Ok(other))),
        other => Err(other),
    }
}

fn size(chunks: &[Bytes]) -> usize {
    chunks.iter().map(Bytes::len).sum()
}

fn enough(chunks: &[Bytes]) -> bool {
    chunks.len() >= ENOUGH_CHUNKS || size(chunks) >= ENOUGH_BYTES
}

fn merge(chunks: &mut Vec<Bytes>) -> Bytes {
    if chunks.len() == 1 {
        return chunks.swap_remove(0);
    }
    let merged = chunks.concat();
    chunks.clear();
    merged.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use std::{
        collections::VecDeque,
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };

    use http::HeaderMap;
    use http_body_util::BodyExt;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    enum Step {
        Chunk(&'static str),
        /// Nothing, until others have run.
        Turn,
        Trailers,
        Error,
    }
    use Step::{Chunk, Error, Trailers, Turn};

    /// Does one step a poll, then ends.
    struct Script(VecDeque<Step>);

    impl Body for Script {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            Poll::Ready(Some(match self.0.pop_front() {
                Some(Chunk(text)) => Ok(Frame::data(text.into())),
                Some(Trailers) => Ok(Frame::trailers(HeaderMap::new())),
                Some(Error) => Err("broken"),
                Some(Turn) => return Poll::Pending,
                None => return Poll::Ready(None),
            }))
        }

        fn size_hint(&self) -> SizeHint {
            let left = |step: &Step| if let Chunk(text) = step { text.len() as u64 } else { 0 };
            SizeHint::with_exact(self.0.iter().map(left).sum())
        }
    }

    fn coalesced(steps: impl IntoIterator<Item = Step>) -> Coalesced<Script> {
        Coalesced::new(Script(steps.into_iter().collect()))
    }

    /// What each poll gives until the end, `-` for nothing yet.
    fn polls(steps: impl IntoIterator<Item = Step>) -> Vec<String> {
        let mut body = pin!(coalesced(steps));
        let mut polls = Vec::new();
        loop {
            let poll = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()));
            polls.push(match poll {
                Poll::Pending => "-".into(),
                Poll::Ready(None) => return polls,
                Poll::Ready(Some(Err(error))) => error.into(),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(chunk) => String::from_utf8(chunk.into()).unwrap(),
                    Err(_) => "trailers".into(),
                },
            });
        }
    }

    #[test]
    fn chunks_that_are_there_together_are_one() {
        assert_eq!(polls([Chunk("a"), Chunk("b"), Chunk("c")]), ["abc"]);
    }

    #[test]
    fn the_first_chunk_goes_at_once() {
        assert_eq!(polls([Chunk("a"), Turn, Chunk("b")]), ["a", "b"]);
    }

    #[test]
    fn chunks_handed_over_one_by_one_are_one() {
        let steps = [Chunk("a"), Turn, Turn, Chunk("b"), Turn, Chunk("c"), Turn, Chunk("d")];
        assert_eq!(polls(steps), ["a", "-", "-", "-", "bcd"]);
    }

    #[test]
    fn a_chunk_that_nothing_follows_goes_after_its_turns() {
        let b = [Chunk("a"), Turn, Turn, Chunk("b"), Turn, Turn, Turn];
        let c = [Turn, Chunk("c"), Turn, Turn, Turn];
        assert_eq!(polls(b.into_iter().chain(c)), ["a", "-", "-", "-", "b", "-", "-", "-", "c"]);
    }

    #[test]
    fn it_wakes_itself_while_it_holds_a_chunk_and_only_then() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let steps = [Turn, Chunk("a"), Turn, Turn, Chunk("b"), Turn, Turn, Turn];
        let mut body = pin!(coalesced(steps));
        let mut poll = || {
            let pending = body.as_mut().poll_frame(&mut Context::from_waker(&waker)).is_pending();
            (pending, count.0.load(Ordering::Relaxed))
        };
        let polls: [_; 6] = std::array::from_fn(|_| poll());
        assert_eq!(polls, [(true, 0), (false, 0), (true, 0), (true, 1), (true, 2), (false, 2)]);
    }

    #[test]
    fn the_last_chunk_does_not_wait_for_a_turn() {
        struct Exact(Script);
        impl Body for Exact {
            type Data = Bytes;
            type Error = &'static str;

            fn poll_frame(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
                Pin::new(&mut self.0).poll_frame(cx)
            }

            fn is_end_stream(&self) -> bool {
                self.0.0.is_empty()
            }
        }
        let script = Script([Chunk("a"), Turn, Chunk("b")].into());
        let mut body = pin!(Coalesced::new(Exact(script)));
        let mut context = Context::from_waker(Waker::noop());
        for last in [false, true] {
            assert!(body.as_mut().poll_frame(&mut context).is_ready());
            assert_eq!(body.is_end_stream(), last);
        }
    }

    #[test]
    fn trailers_and_errors_come_after_the_chunks_before_them() {
        assert_eq!(polls([Chunk("a"), Chunk("b"), Trailers]), ["ab", "trailers"]);
        assert_eq!(polls([Chunk("a"), Chunk("b"), Error]), ["ab", "-", "broken"]);
        assert_eq!(polls([Chunk("a"), Turn, Error]), ["a", "-", "broken"]);
        assert_eq!(polls([Trailers]), ["trailers"]);
        assert_eq!(polls([Error]), ["broken"]);
        assert_eq!(polls([]), [""; 0]);
    }

    #[test]
    fn it_is_not_at_its_end_before_what_is_held_and_what_follows_is_given() {
        let mut body = pin!(coalesced([Chunk("a"), Error]));
        let mut context = Context::from_waker(Waker::noop());
        assert!(body.as_mut().poll_frame(&mut context).is_ready());
        assert!(!body.is_end_stream());
        assert!(body.as_mut().poll_frame(&mut context).is_pending());
        let error = body.as_mut().poll_frame(&mut context);
        assert!(matches!(error, Poll::Ready(Some(Err("broken")))));
    }

    #[test]
    fn the_size_hint_counts_what_is_held() {
        let mut body = pin!(coalesced([Chunk("a"), Turn, Chunk("bc"), Turn, Chunk("def")]));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(body.size_hint().exact(), Some(6));
        assert!(body.as_mut().poll_frame(&mut context).is_ready());
        assert!(body.as_mut().poll_frame(&mut context).is_pending());
        assert_eq!((body.held.len(), body.size_hint().exact()), (1, Some(5)));
    }

    #[test]
    fn an_endless_supply_is_given_in_pieces() {
        let many = polls((0..100).map(|_| Chunk("a")));
        assert_eq!(many, ["a".repeat(32), "a".repeat(32), "a".repeat(32), "a".repeat(4)]);
        let large: &str = "a".repeat(ENOUGH_BYTES - 1).leak();
        let sizes = polls((0..4).map(|_| Chunk(large))).iter().map(String::len).collect::<Vec<_>>();
        assert_eq!(sizes, [2 * large.len(); 2]);
    }

    #[tokio::test]
    async fn a_burst_from_hypers_client_comes_in_few_pieces() {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let (mut client, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(connection);
        let mut burst = String::from("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        burst.extend((0..50).map(|_| "7\r\ndata:a\n\r\n"));
        burst.push_str("0\r\n\r\n");
        let answer = async {
            assert!(far.read(&mut [0; 1024]).await.unwrap() > 0);
            far.write_all(burst.as_bytes()).await.unwrap();
        };
        let request = http::Request::new(String::new());
        let (response, ()) = tokio::join!(client.send_request(request), answer);

        let mut body = Coalesced::new(response.unwrap().into_body());
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
        }
        assert_eq!(pieces.concat(), "data:a\n".repeat(50).as_bytes());
        assert!(pieces.len() <= 4, "{} pieces", pieces.len());
    }
}
