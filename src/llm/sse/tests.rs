use proptest::prelude::*;

use super::*;

fn events(chunks: &[&[u8]]) -> Vec<String> {
    let mut reader = EventReader::default();
    let mut events = Vec::new();
    for mut chunk in chunks.iter().copied() {
        while let Some((used, data)) = reader.next(chunk) {
            events.extend(data.map(|data| String::from_utf8_lossy(data).into_owned()));
            chunk = &chunk[used..];
        }
    }
    events
}

#[test]
fn fields_and_line_ends_are_read_as_the_standard_says() {
    for (stream, expected) in [
        ("data: a\n\ndata: b\n\n", vec!["a", "b"]),
        ("data: a\r\n\r\ndata: b\r\rdata: c\r\n\n", vec!["a", "b", "c"]),
        ("data:a\n\ndata:  b\n\ndata:\n\ndata\n\n", vec!["a", " b", "", ""]),
        ("data: a\ndata: b\r\ndata\rdata: c\n\n", vec!["a\nb\n\nc"]),
        (": comment\n\nevent: x\nid: 1\n\n\n\ndata: a\n:more\n\n", vec!["a"]),
        ("\u{feff}data: a\n\n\u{feff}data: b\n\n", vec!["a"]),
        ("database: a\n\ndata a\n\nDATA: a\n\n", vec![]),
        ("data: a\n\ndata: cut off\n", vec!["a"]),
    ] {
        assert_eq!(events(&[stream.as_bytes()]), expected, "{stream:?}");
    }
}

#[test]
fn an_event_that_is_too_long_is_passed_over_and_takes_no_memory() {
    let mut reader = EventReader::default();
    let chunk = vec![b'x'; 64 * 1024];
    for _ in 0..100 {
        assert_eq!(reader.next(&chunk), None);
    }
    assert!(reader.carried.capacity() <= 2 * LONGEST, "{}", reader.carried.capacity());
    assert_eq!(reader.next(b"\n\ndata: a\n\n"), Some((2, None)));
    assert_eq!(reader.next(b"data: a\n\n"), Some((9, Some(&b"a"[..]))));

    let mut whole = b"data: ".to_vec();
    whole.resize(LONGEST, b'x');
    whole.extend(b"\n\n");
    assert_eq!(EventReader::default().next(&whole), Some((whole.len(), None)));
}

proptest! {
    #[test]
    fn chunks_make_no_difference(
        lines in prop::collection::vec((0..8_usize, 0..3_usize), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let kinds = ["data: a", "data:b", "data", ": c", "event: d", "", "", "\u{feff}data: e"];
        let ends = ["\n", "\r", "\r\n"];
        let stream = lines.iter().map(|(kind, end)| [kinds[*kind], ends[*end]].concat()).collect::<Vec<_>>().concat();
        let stream = stream.as_bytes();
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).chain([0, stream.len()]).collect();
        ends.sort_unstable();
        let chunks: Vec<_> = ends.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
        prop_assert_eq!(events(&chunks), events(&[stream]));
        let bytes: Vec<_> = stream.chunks(1).collect();
        prop_assert_eq!(events(&bytes), events(&[stream]));
    }
}
