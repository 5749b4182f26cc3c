//! Server-sent events, read as their bytes pass, whatever the chunks (WHATWG HTML, "Server-sent events").
//!
//! What lies whole in a chunk is borrowed from it. Only an event that spans chunks is copied, into a buffer that is kept
//! for the next such event.

use memchr::memchr2;

/// The longest event that is read; a longer one is passed over.
const LONGEST: usize = 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Finds the events in a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    /// The bytes so far of the event under way, from chunks before.
    carried: Vec<u8>,
    /// The data of an event that has several lines of it.
    joined: Vec<u8>,
    /// The event under way is too long: its bytes are not kept.
    too_long: bool,
    place: Place,
    /// An event has ended, and nothing has come since.
    ended: bool,
    /// The first event is over, and with it the place for a byte order mark.
    begun: bool,
}

/// Where in its lines the stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    LineStart,
    InLine,
    /// After a `\r` that ended a line: a `\n` now belongs to it.
    AfterReturn,
}

impl EventReader {
    /// Reads to the end of the event under way: how many bytes of `chunk` that took, and the data of the event, if it
    /// has some. None where the chunk ends first; all of it is read then.
    pub(super) fn next<'a>(&'a mut self, chunk: &'a [u8]) -> Option<(usize, Option<&'a [u8]>)> {
        if chunk.is_empty() {
            return None;
        }
        if std::mem::take(&mut self.ended) {
            self.carried.clear();
            self.too_long = false;
        }
        let end = self.find_end(chunk);
        let part = &chunk[..end.unwrap_or(chunk.len())];
        if self.too_long || self.carried.len() + part.len() > LONGEST {
            self.too_long = true;
            self.carried.clear();
        } else if end.is_none() || !self.carried.is_empty() {
            self.carried.extend_from_slice(part);
        }
        let end = end?;
        self.ended = true;
        let event = if self.carried.is_empty() { part } else { &self.carried };
        let first = !std::mem::replace(&mut self.begun, true);
        let data = if self.too_long { None } else { data_of(event, first, &mut self.joined) };
        Some((end, data))
    }

    /// How many bytes at the beginning of `chunk` belong to an event that has ended: the `\n` of a `\r\n` that was cut
    /// in two. They are read with this.
    pub(super) fn take_leftover(&mut self, chunk: &[u8]) -> usize {
        let after_return = self.ended && self.place == Place::AfterReturn;
        let cut = after_return && chunk.first() == Some(&b'\n');
        if cut {
            self.place = Place::LineStart;
        }
        usize::from(cut)
    }

    /// The data so far of the event under way; none where nothing of it has come, or too much.
    pub(super) fn pending(&mut self) -> Option<&[u8]> {
        if self.ended || self.too_long {
            return None;
        }
        data_of(&self.carried, !self.begun, &mut self.joined)
    }

    /// How many bytes there are of the event under way; none where they are too many.
    pub(super) fn pending_len(&self) -> Option<usize> {
        if self.too_long {
            return None;
        }
        Some(if self.ended { 0 } else { self.carried.len() })
    }

    /// The index after the empty line that ends the event under way.
    fn find_end(&mut self, chunk: &[u8]) -> Option<usize> {
        let before = std::mem::take(&mut self.place);
        let mut in_line = before == Place::InLine;
        let cut = before == Place::AfterReturn && chunk.first() == Some(&b'\n');
        let mut at = usize::from(cut);
        loop {
            let Some(length) = memchr2(b'\n', b'\r', &chunk[at..]) else {
                if in_line || at < chunk.len() {
                    self.place = Place::InLine;
                }
                return None;
            };
            let empty = length == 0 && !std::mem::take(&mut in_line);
            in_line = false;
            at += length + 1;
            if chunk[at - 1] == b'\r' {
                match chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.place = Place::AfterReturn,
                }
            }
            if empty {
                return Some(at);
            }
        }
    }
}

/// The data of the first event of `text`, which is all there is.
pub(super) fn first_data(text: &[u8]) -> Option<Vec<u8>> {
    let mut reader = EventReader::default();
    let mut at = 0;
    while let Some((used, data)) = reader.next(&text[at..]) {
        if let Some(data) = data {
            return Some(data.to_vec());
        }
        at += used;
    }
    reader.pending().map(<[u8]>::to_vec)
}

/// The values of the `data` fields of an event, joined by line feeds; none where it has no such field.
fn data_of<'a>(event: &'a [u8], first: bool, joined: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let marked = event.strip_prefix(BYTE_ORDER_MARK).filter(|_| first);
    let mut rest = marked.unwrap_or(event);
    let mut data = None;
    let mut several = false;
    while !rest.is_empty() {
        // A `\r\n` makes an empty line more, which says nothing inside an event.
        let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let value = data_in(&rest[..length]);
        rest = rest.get(length + 1..).unwrap_or_default();
        match (data, value) {
            (_, None) => {}
            (None, Some(_)) => data = value,
            (Some(before), Some(value)) => {
                if !std::mem::replace(&mut several, true) {
                    joined.clear();
                    joined.extend_from_slice(before);
                }
                joined.push(b'\n');
                joined.extend_from_slice(value);
            }
        }
    }
    if several { Some(joined) } else { data }
}

/// The value of a line that is a `data` field.
fn data_in(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
