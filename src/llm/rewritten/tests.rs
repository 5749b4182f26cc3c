use std::convert::Infallible;

use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use proptest::prelude::*;

use super::*;

fn chunked(
    text: &str,
    ends: &[prop::sample::Index],
) -> impl Body<Data = Bytes, Error = Infallible> + use<> {
    let mut ends: Vec<_> =
        ends.iter().map(|end| end.index(text.len() + 1)).chain([0, text.len()]).collect();
    ends.sort_unstable();
    let text = Bytes::copy_from_slice(text.as_bytes());
    let chunks: Vec<_> = ends.windows(2).map(|w| Ok(Frame::data(text.slice(w[0]..w[1])))).collect();
    StreamBody::new(stream::iter(chunks))
}

proptest! {
    #[test]
    fn each_stretch_is_replaced_whatever_the_chunks(
        text in "[a-z]{1,40}",
        // Each edit: how far after the one before it begins, how much it cuts, and what it puts there.
        edits in prop::collection::vec((0..8_usize, 0..5_usize, "[A-Z]{0,8}"), 0..6),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let (mut from, mut expected, mut made) = (0, String::new(), Vec::new());
        for (after, cut, with) in edits {
            let (start, end) = (from + after, from + after + cut);
            // There is always text behind, as there is in JSON.
            if end >= text.len() {
                break;
            }
            expected.push_str(&text[from..start]);
            expected.push_str(&with);
            made.push(Edit { at: start..end, with: with.into() });
            from = end;
        }
        expected.push_str(&text[from..]);

        let body = RewrittenBody::new(chunked(&text, &ends), made.clone());
        let sent = tokio_test::block_on(body.collect()).unwrap().to_bytes();
        prop_assert_eq!(&sent[..], expected.as_bytes());

        let mut whole = RewrittenBody::new(Full::new(Bytes::from(text)), made);
        let mut left = expected.len() as u64;
        prop_assert_eq!(whole.size_hint().exact(), Some(left));
        while let Some(frame) = tokio_test::block_on(whole.frame()) {
            left -= frame.unwrap().into_data().unwrap().len() as u64;
            prop_assert_eq!(whole.size_hint().exact(), Some(left));
            prop_assert_eq!(whole.is_end_stream(), left == 0);
        }
        prop_assert_eq!(left, 0);
    }
}

#[test]
fn ten_megabytes_go_out_as_slices_of_the_same_memory() {
    let text = Bytes::from(vec![b'x'; 10 << 20]);
    let edits = vec![Edit::new(3..5, "name"), Edit::cut(100..200)];
    let mut body = RewrittenBody::new(Full::new(text.clone()), edits);
    let mut slices = Vec::new();
    while let Some(frame) = tokio_test::block_on(body.frame()) {
        let chunk = frame.unwrap().into_data().unwrap();
        let inside = text.as_ptr_range().contains(&chunk.as_ptr());
        slices.push(
            inside
                .then(|| chunk.as_ptr().addr() - text.as_ptr().addr()..)
                .map(|at| (at.start, chunk.len())),
        );
    }
    let rest = (10 << 20) - 200;
    assert_eq!(slices, [Some((0, 3)), None, Some((5, 95)), Some((200, rest))]);
}
