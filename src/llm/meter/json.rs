use memchr::memchr2;

/// Walks over JSON that lies in one piece and builds nothing of it. Each step is none where the text ends or is no JSON.
///
/// Values that nobody asks for are skipped without recursion, however deep they nest, and are not checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

/// A string as it stands in the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    /// Between the quotes, escapes and all.
    pub(super) raw: &'a [u8],
    /// About how many bytes it has once its escapes are resolved.
    pub(super) length: u64,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(json: &'a [u8]) -> Self {
        Self { rest: json }
    }

    /// The first byte of what comes next.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    /// Gives each member of an object to `each`, which goes past the value. Another value is skipped.
    pub(super) fn members(
        &mut self,
        mut each: impl FnMut(&'a [u8], &mut Self) -> Option<()>,
    ) -> Option<()> {
        if self.peek()? != b'{' {
            return self.skip();
        }
        self.listed(b'}', |cursor| {
            let name = cursor.string()?.raw;
            cursor.expect(b':')?;
            each(name, cursor)
        })
    }

    /// Gives each element of an array to `each`, which goes past it. Another value is skipped.
    pub(super) fn elements(&mut self, each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.peek()? != b'[' {
            return self.skip();
        }
        self.listed(b']', each)
    }

    fn listed(&mut self, end: u8, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.advance(1);
        if self.peek()? == end {
            return self.expect(end);
        }
        loop {
            each(self)?;
            match self.peek()? {
                b',' => self.advance(1),
                _ => return self.expect(end),
            }
        }
    }

    /// The string that comes next.
    pub(super) fn string(&mut self) -> Option<Text<'a>> {
        self.expect(b'"')?;
        let (all, mut at, mut length) = (self.rest, 0, 0);
        loop {
            let run = ordinary(all.get(at..)?)?;
            length += run as u64;
            at += run;
            if all[at] == b'"' {
                self.advance(at + 1);
                return Some(Text { raw: &all[..at], length });
            }
            // `\u65e5` stands for three bytes mostly, any other escape for one.
            let unicode = all.get(at + 1) == Some(&b'u');
            length += if unicode { 3 } else { 1 };
            at += if unicode { 6 } else { 2 };
        }
    }

    /// The length of a string; of another value, which is skipped, 0.
    pub(super) fn text_length(&mut self) -> Option<u64> {
        if self.peek()? == b'"' {
            return self.string().map(|text| text.length);
        }
        self.skip()?;
        Some(0)
    }

    /// Goes past a value, and puts it in `place` if it is a number of tokens: whether it is.
    pub(super) fn count(&mut self, place: &mut Option<u64>) -> Option<bool> {
        let count = str::from_utf8(self.value()?).ok().and_then(whole_number);
        *place = count.or(*place);
        Some(count.is_some())
    }

    /// Goes past a value, and gives it as it stands.
    pub(super) fn value(&mut self) -> Option<&'a [u8]> {
        self.peek()?;
        let before = self.rest;
        self.skip()?;
        before.get(..before.len() - self.rest.len())
    }

    /// Whether what comes next is an error, as an object or a text.
    pub(super) fn is_error(&mut self) -> Option<bool> {
        let first = self.peek()?;
        Some(first == b'{' || first == b'"' && !self.rest.starts_with(b"\"\""))
    }

    /// Goes past a value.
    pub(super) fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    depth += 1;
                    self.advance(1);
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.advance(1);
                }
                b',' | b':' if depth > 0 => {
                    self.advance(1);
                    continue;
                }
                _ => {
                    let ends = |byte: &u8| {
                        matches!(
                            byte,
                            b',' | b':' | b'}' | b']' | b'"' | b' ' | b'\t' | b'\n' | b'\r'
                        )
                    };
                    // Where nothing follows, the end of the value may be yet to come.
                    let length = self.rest.iter().position(ends)?;
                    if length == 0 {
                        return None;
                    }
                    self.advance(length);
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.advance(1))
    }

    fn advance(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}

/// A number of at least 0 without a fraction, in whatever notation: `100`, `100.0`, `1e2`.
fn whole_number(text: &str) -> Option<u64> {
    /// From here on not every whole number is a float.
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    let of_float = |float: f64| {
        let whole = float.fract() == 0.0 && (0.0..LIMIT).contains(&float);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just checked")]
        whole.then_some(float as u64)
    };
    text.parse().ok().or_else(|| of_float(text.parse().ok()?))
}

/// How many bytes of a string there are until one that is special in it.
fn ordinary(string: &[u8]) -> Option<usize> {
    /// Most strings are names and words, for which a search by vectors takes longer to begin than to end.
    const SHORT: usize = 16;
    let special = |byte: &u8| matches!(byte, b'"' | b'\\');
    let short = &string[..string.len().min(SHORT)];
    let long = || Some(short.len() + memchr2(b'"', b'\\', &string[short.len()..])?);
    short.iter().position(special).or_else(long)
}
