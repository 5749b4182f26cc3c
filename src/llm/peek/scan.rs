//! A reader of JSON text that builds nothing: it says where things stand.
//!
//! It takes what `serde_json` takes when it skips a value, and no more: the grammar is checked to the end, numbers and
//! escapes are not evaluated. Nesting ends where it does for a `serde_json::Value`.

use std::{borrow::Cow, ops::Range};

/// Containers one in the other; 128 are too many.
const MAX_DEPTH: u32 = 127;

/// Where the text is not JSON, and what would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    pub(super) at: usize,
    pub(super) expected: &'static str,
}

/// A string as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Literal<'a> {
    /// What stands between the quotes.
    pub(super) raw: &'a str,
    /// How many bytes fewer it is, about, once its escapes are read.
    escaped: usize,
}

impl<'a> Literal<'a> {
    /// The name of what has none: an element of an array.
    const NONE: Self = Self { raw: "", escaped: 0 };

    /// About how many bytes it means.
    pub(super) fn len(self) -> usize {
        self.raw.len() - self.escaped
    }

    /// What it means; none where an escape is half a character.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        if self.escaped == 0 {
            return Some(Cow::Borrowed(self.raw));
        }
        serde_json::from_str(&format!("\"{}\"", self.raw)).ok().map(Cow::Owned)
    }
}

/// What is met inside a value.
pub(super) trait Visit<'a> {
    /// A string, and the name of the member it is the value of; no name in an array.
    fn string(&mut self, _name: Literal<'a>, _value: Literal<'a>) {}

    /// A number.
    fn number(&mut self) {}

    /// An object, in so many containers of the value.
    fn object(&mut self, _depth: u32) {}
}

/// Passes over a value.
impl Visit<'_> for () {}

/// A place in a text.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// What is wrong here.
    pub(super) const fn invalid(&self, expected: &'static str) -> Invalid {
        Invalid { at: self.at, expected }
    }

    /// The byte the next token begins with.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Nothing but space is left.
    pub(super) fn end(&mut self) -> Result<(), Invalid> {
        if self.peek().is_none() { Ok(()) } else { Err(self.invalid("the end")) }
    }

    /// Reads an object; `member` is called at the value of each member, to read it.
    ///
    /// It is told the member's name, and where that name begins.
    pub(super) fn members<E: From<Invalid>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Literal<'a>, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(b'{', "an object")?;
        if self.peek() != Some(b'}') {
            loop {
                self.peek();
                let start = self.at;
                let name = self.name()?;
                member(self, name, start)?;
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => break,
                    _ => return Err(self.invalid("`,` or `}`").into()),
                }
            }
        }
        self.close();
        Ok(())
    }

    /// Reads an array; `element` is called at each element, to read it.
    pub(super) fn elements<E: From<Invalid>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(b'[', "an array")?;
        if self.peek() != Some(b']') {
            loop {
                self.peek();
                element(self)?;
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b']') => break,
                    _ => return Err(self.invalid("`,` or `]`").into()),
                }
            }
        }
        self.close();
        Ok(())
    }

    fn open(&mut self, bracket: u8, expected: &'static str) -> Result<(), Invalid> {
        if self.peek() != Some(bracket) {
            return Err(self.invalid(expected));
        }
        if self.depth == MAX_DEPTH {
            return Err(self.invalid("less nesting"));
        }
        self.at += 1;
        self.depth += 1;
        Ok(())
    }

    const fn close(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    /// Reads a value of any kind; `visit` is told what it meets. Returns where the value stands.
    pub(super) fn value(&mut self, visit: &mut impl Visit<'a>) -> Result<Range<usize>, Invalid> {
        self.peek();
        let start = self.at;
        let outside = self.depth;
        // For each open container whether it is an object, the innermost in the lowest bit.
        let mut objects = 0_u128;
        let mut name = Literal::NONE;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let value = self.string()?;
                    visit.string(name, value);
                }
                Some(b'{') => {
                    visit.object(self.depth - outside);
                    self.open(b'{', "an object")?;
                    if self.peek() == Some(b'}') {
                        self.close();
                    } else {
                        objects = objects << 1 | 1;
                        name = self.name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.open(b'[', "an array")?;
                    if self.peek() == Some(b']') {
                        self.close();
                    } else {
                        objects <<= 1;
                        name = Literal::NONE;
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => {
                    self.number()?;
                    visit.number();
                }
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(b'n') => self.word("null")?,
                _ => return Err(self.invalid("a value")),
            }
            loop {
                if self.depth == outside {
                    return Ok(start..self.at);
                }
                let object = objects & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        name = if object { self.name()? } else { Literal::NONE };
                        break;
                    }
                    Some(b'}') if object => {}
                    Some(b']') if !object => {}
                    _ => {
                        return Err(self.invalid(if object { "`,` or `}`" } else { "`,` or `]`" }));
                    }
                }
                self.close();
                objects >>= 1;
            }
        }
    }

    /// Reads the name of a member and its colon.
    fn name(&mut self) -> Result<Literal<'a>, Invalid> {
        if self.peek() != Some(b'"') {
            return Err(self.invalid("the name of a member"));
        }
        let name = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.invalid("`:`"));
        }
        self.at += 1;
        Ok(name)
    }

    /// Reads a string; stands at its first quote.
    pub(super) fn string(&mut self) -> Result<Literal<'a>, Invalid> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut escaped = 0;
        self.at = start;
        loop {
            self.at += plain(&bytes[self.at..]);
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => escaped += self.escape(bytes)?,
                Some(_) => return Err(self.invalid("an escape of the control character")),
                None => return Err(self.invalid("the end of a string")),
            }
        }
        // Quotes are whole characters, so this never is outside of the text.
        let raw = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Literal { raw, escaped })
    }

    /// Reads an escape, and says how many bytes longer it is than what it means, about.
    fn escape(&mut self, bytes: &[u8]) -> Result<usize, Invalid> {
        match bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(1)
            }
            Some(b'u') => {
                let digits = bytes.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.invalid("an escape"));
                }
                self.at += 6;
                // Most that is written so is three bytes long: an accent is two, half a smiley is too.
                Ok(3)
            }
            _ => Err(self.invalid("an escape")),
        }
    }

    fn number(&mut self) -> Result<(), Invalid> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits(bytes)?;
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits(bytes)?;
        }
        if let Some(b'e' | b'E') = bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = bytes.get(self.at) {
                self.at += 1;
            }
            self.digits(bytes)?;
        }
        // A digit after a leading zero is met by whoever expects a comma.
        Ok(())
    }

    fn digits(&mut self, bytes: &[u8]) -> Result<(), Invalid> {
        let digits = bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 { Err(self.invalid("a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Invalid> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.invalid("a value"));
        }
        self.at += word.len();
        Ok(())
    }
}

/// Whether a string ends, or has an escape or a control character, at this byte.
const fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < b' '
}

/// How many bytes from the first on are plain text of a string.
pub(super) fn plain(bytes: &[u8]) -> usize {
    // Strings that end soon, or have many escapes, are done by the word; long ones by blocks, which the compiler makes
    // vectors of.
    const BLOCK: usize = 64;
    let mut at = 0;
    for word in bytes.chunks_exact(8).take(16) {
        match special_in(word) {
            Some(within) => return at + within,
            None => at += 8,
        }
    }
    for block in bytes[at..].chunks_exact(BLOCK) {
        if block.iter().fold(false, |any, byte| any | is_special(*byte)) {
            break;
        }
        at += BLOCK;
    }
    for word in bytes[at..].chunks_exact(8) {
        match special_in(word) {
            Some(within) => return at + within,
            None => at += 8,
        }
    }
    at + bytes[at..].iter().take_while(|byte| !is_special(**byte)).count()
}

/// The first special byte of eight: the arithmetic of Mycroft's test for a zero byte, in which only bytes above a true
/// hit can be false ones.
fn special_in(word: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(word.try_into().ok()?);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let hits = (below(word, b' ') | equal(b'"') | equal(b'\\')) & HIGH;
    (hits != 0).then_some(hits.trailing_zeros() as usize / 8)
}
