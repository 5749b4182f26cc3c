use memchr::memchr2;

use super::{
    answerer::Answerer,
    errors::Errors,
    json::Cursor,
    tokens::{Tally, Told},
};

/// The longest `usage`, or error, that is read.
const LONGEST: usize = 16 * 1024;
/// The longest name of a member that is looked for.
const NAME: usize = 8;

/// Finds the `usage` and the `error` of a JSON object whose bytes pass in chunks, and how much text there is in its
/// output.
#[derive(Debug, Default)]
pub(super) struct Document {
    depth: usize,
    place: Place,
    member: Member,
    /// The latest string that began at the depth of the members, as far as it fits.
    name: Name,
    /// The value so far of the member that is read.
    value: Vec<u8>,
    /// Bytes of the latest string, which is a name if a colon comes.
    string: u64,
    text: u64,
    told: Option<Told>,
    recognized: bool,
    errors: Errors,
    answerer: Answerer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    String,
    Escape,
}

/// Which member of the object is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Member {
    Usage,
    Error,
    Id,
    Output,
    #[default]
    Other,
}

#[derive(Clone, Copy, Debug, Default)]
struct Name {
    bytes: [u8; NAME],
    length: usize,
}

impl Name {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
        }
        self.length = self.length.saturating_add(1);
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Member {
    /// Its value is read.
    const fn is_kept(self) -> bool {
        matches!(self, Self::Usage | Self::Error | Self::Id)
    }
}

impl Document {
    pub(super) fn new(errors: Errors) -> Self {
        Self { errors, ..Self::default() }
    }

    pub(super) fn telling(self, answerer: Answerer) -> Self {
        Self { answerer, ..self }
    }

    pub(super) fn read(&mut self, chunk: &[u8]) {
        let mut at = 0;
        let mut kept = 0;
        while at < chunk.len() {
            if self.place != Place::Outside {
                at += self.read_string(&chunk[at..]);
                continue;
            }
            let speaks = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b':' | b',');
            let Some(length) = chunk[at..].iter().position(speaks) else { break };
            at += length;
            let byte = chunk[at];
            let ends = self.depth == 1 && matches!(byte, b',' | b'}');
            if ends && self.member.is_kept() {
                self.keep(&chunk[kept..at]);
                self.end_kept();
            }
            self.structure(byte);
            at += 1;
            if self.depth == 1 && byte == b':' {
                kept = at;
            }
        }
        if self.member.is_kept() {
            self.keep(&chunk[kept..]);
        }
    }

    /// What was found.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally { recognized: self.recognized, ..Tally::default() };
        tally.add_text(self.text);
        if let Some(told) = self.told {
            tally.settle(told);
        }
        tally
    }

    /// Reads on in a string: how many bytes.
    fn read_string(&mut self, chunk: &[u8]) -> usize {
        let escaped = self.place == Place::Escape;
        let length = match memchr2(b'"', b'\\', chunk) {
            _ if escaped => 1,
            found => found.unwrap_or(chunk.len()),
        };
        self.string = self.string.saturating_add(length as u64);
        if self.depth == 1 {
            // One more than fits, so that a longer name is none of those that are looked for.
            chunk[..length].iter().take(NAME + 1).for_each(|byte| self.name.push(*byte));
        }
        self.place = match chunk.get(length) {
            _ if escaped => Place::String,
            Some(b'"') => Place::Outside,
            Some(b'\\') => Place::Escape,
            _ => return length,
        };
        if escaped { length } else { length + 1 }
    }

    fn structure(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.place = Place::String;
                self.string = 0;
                self.name = Name::default();
                return;
            }
            b':' => {
                if self.depth == 1 {
                    self.begin_member();
                }
            }
            b'{' | b'[' => self.depth += 1,
            _ => {
                if self.member == Member::Output {
                    self.text = self.text.saturating_add(self.string);
                }
                if byte != b',' {
                    self.depth = self.depth.saturating_sub(1);
                }
                if self.depth <= 1 && byte == b',' {
                    self.member = Member::Other;
                }
            }
        }
        self.string = 0;
    }

    fn begin_member(&mut self) {
        self.member = match self.name.as_bytes() {
            b"usage" => Member::Usage,
            b"error" => Member::Error,
            b"id" if self.answerer.is_waiting() => Member::Id,
            b"choices" | b"content" | b"output" => Member::Output,
            _ => Member::Other,
        };
        self.recognized |= self.member == Member::Output || self.name.as_bytes() == b"data";
        self.value.clear();
    }

    fn keep(&mut self, part: &[u8]) {
        let room = LONGEST - self.value.len();
        self.value.extend_from_slice(&part[..part.len().min(room)]);
        if part.len() > room {
            self.end_kept();
        }
    }

    fn end_kept(&mut self) {
        let mut cursor = Cursor::new(&self.value);
        match std::mem::take(&mut self.member) {
            Member::Usage => {
                let mut told = Told::default();
                if told.read(&mut cursor) == Some(true) {
                    self.told = Some(told);
                }
            }
            // One too long tells that it is one, and no more.
            Member::Error if cursor.is_error() == Some(true) => {
                self.errors.found(&[b"{\"error\":", &*self.value, b"}"].concat());
            }
            Member::Id => {
                if let Some(id) = cursor.string() {
                    self.answerer.gives(id.raw);
                }
            }
            Member::Error | Member::Output | Member::Other => {}
        }
    }
}

#[cfg(test)]
mod tests;
