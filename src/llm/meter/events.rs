use super::{json::Cursor, tokens::Tally};

/// What an event of a stream is, for what it does to the usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen<'a> {
    /// It has a `usage`, and that has members; false for `null`.
    pub(super) usage: Option<bool>,
    /// It has `choices`, and there are some.
    pub(super) choices: Option<bool>,
    /// It is the last one.
    pub(super) last: bool,
    /// It has what OpenAI's chunk of the usage has not.
    pub(super) more: bool,
    /// It says why the model has ended.
    pub(super) finished: bool,
    /// It says that the answer has failed: the object that tells how.
    pub(super) error: Option<&'a [u8]>,
    /// The id of the response that it is of.
    pub(super) response: Option<&'a [u8]>,
}

impl Seen<'_> {
    /// It is OpenAI's chunk that has the usage and nothing else.
    pub(super) fn is_usage_alone(self) -> bool {
        self.usage == Some(true) && self.choices == Some(false) && !self.more
    }

    /// Reads why the model has ended; before it does, that is null or nothing.
    fn end(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        self.finished |= cursor.text_length()? > 0;
        Some(())
    }
}

/// Enters the data of an event in `tally`.
pub(super) fn read<'a>(data: &'a [u8], tally: &mut Tally) -> Seen<'a> {
    let mut seen = Seen::default();
    if data == b"[DONE]" {
        seen.last = true;
        return seen;
    }
    let mut event = Event::default();
    if event.walk(&mut Cursor::new(data), &mut seen).is_none() {
        return Seen::default();
    }
    seen.error = event.error.then_some(event.failed.unwrap_or(data));
    tally.recognized |= event.recognized;
    tally.add_text(event.text);
    // Only now: what an event tells of its tokens holds for its own text too.
    let mut told = tally.told;
    for (at, begins) in [(event.begins, true), (event.tells, false)] {
        let Some(mut at) = at else { continue };
        if told.read(&mut at) != Some(true) {
            continue;
        }
        if begins {
            tally.told = told;
            tally.recognized = true;
        } else {
            tally.settle(told);
        }
    }
    seen
}

/// Whether an event that begins with `data` may yet turn out to be the chunk that has the usage and nothing else.
pub(super) fn may_be_usage_alone(data: &[u8]) -> bool {
    let mut cursor = Cursor::new(data);
    if cursor.peek().is_some_and(|first| first != b'{') {
        return false;
    }
    let mut seen = Seen::default();
    let _ = Event::default().walk(&mut cursor, &mut seen);
    seen.choices != Some(true) && seen.usage != Some(false) && !seen.more
}

/// An event of OpenAI's chat completions, completions or responses, or of Anthropic's messages: which one, its members
/// say.
#[derive(Default)]
struct Event<'a> {
    /// Where the tokens are told that the answer begins with: Anthropic's `message.usage`.
    begins: Option<Cursor<'a>>,
    /// Where the tokens are told of all that has come.
    tells: Option<Cursor<'a>>,
    /// It tells of an error.
    error: bool,
    /// The part that tells of it, where that is not the whole.
    failed: Option<&'a [u8]>,
    /// Bytes of output.
    text: u64,
    recognized: bool,
}

impl<'a> Event<'a> {
    fn walk(&mut self, cursor: &mut Cursor<'a>, seen: &mut Seen<'a>) -> Option<()> {
        cursor.members(|name, cursor| match name {
            b"error" => {
                let error = cursor.is_error()?;
                (self.error, seen.more) = (self.error | error, seen.more | error);
                cursor.skip()
            }
            b"object" if cursor.peek()? == b'"' => {
                self.error |= cursor.string()?.raw == b"error";
                Some(())
            }
            b"type" if cursor.peek()? == b'"' => {
                let name = cursor.string()?.raw;
                self.error |= matches!(name, b"error" | b"response.failed");
                seen.last |= matches!(
                    name,
                    b"message_stop"
                        | b"response.completed"
                        | b"response.incomplete"
                        | b"response.failed"
                );
                Some(())
            }
            b"usage" => {
                let has_members = cursor.peek()? == b'{';
                seen.usage = Some(has_members && seen.usage != Some(false));
                self.tells = if has_members { Some(*cursor) } else { self.tells };
                cursor.skip()
            }
            b"choices" if cursor.peek()? == b'[' => {
                self.recognized = true;
                cursor.elements(|cursor| {
                    seen.choices = Some(true);
                    self.choice(cursor, seen)
                })?;
                seen.choices.get_or_insert(false);
                Some(())
            }
            b"delta" => self.delta(cursor, seen),
            b"message" => cursor.members(|name, cursor| {
                if name == b"usage" {
                    self.begins = Some(*cursor);
                }
                cursor.skip()
            }),
            b"response" | b"x_groq" => {
                self.recognized |= name == b"response";
                seen.more = true;
                let mut whole = *cursor;
                let mut failed = false;
                cursor.members(|name, cursor| {
                    match name {
                        b"usage" if cursor.peek()? == b'{' => self.tells = Some(*cursor),
                        b"error" => failed = cursor.is_error()?,
                        b"id" if cursor.peek()? == b'"' => {
                            seen.response = Some(cursor.string()?.raw);
                            return Some(());
                        }
                        _ => {}
                    }
                    cursor.skip()
                })?;
                if failed {
                    self.error = true;
                    self.failed = whole.value();
                }
                Some(())
            }
            b"id"
            | b"object"
            | b"created"
            | b"model"
            | b"system_fingerprint"
            | b"service_tier"
            | b"obfuscation" => cursor.skip(),
            _ => {
                seen.more |= cursor.peek()? != b'n';
                cursor.skip()
            }
        })
    }

    fn choice(&mut self, cursor: &mut Cursor<'a>, seen: &mut Seen<'a>) -> Option<()> {
        cursor.members(|name, cursor| match name {
            b"delta" => self.delta(cursor, seen),
            b"finish_reason" => seen.end(cursor),
            b"text" => self.add(cursor),
            // Moonshot's place for it.
            b"usage" if cursor.peek()? == b'{' => {
                self.tells = Some(*cursor);
                cursor.skip()
            }
            _ => cursor.skip(),
        })
    }

    fn delta(&mut self, cursor: &mut Cursor<'a>, seen: &mut Seen<'a>) -> Option<()> {
        if cursor.peek()? == b'"' {
            return self.add(cursor);
        }
        cursor.members(|name, cursor| match name {
            b"content" | b"reasoning_content" | b"reasoning" | b"refusal" | b"text"
            | b"thinking" | b"partial_json" => self.add(cursor),
            b"stop_reason" => seen.end(cursor),
            b"tool_calls" => cursor.elements(|cursor| {
                cursor.members(|name, cursor| {
                    if name != b"function" {
                        return cursor.skip();
                    }
                    cursor.members(|name, cursor| match name {
                        b"name" | b"arguments" => self.add(cursor),
                        _ => cursor.skip(),
                    })
                })
            }),
            _ => cursor.skip(),
        })
    }

    fn add(&mut self, cursor: &mut Cursor<'a>) -> Option<()> {
        self.recognized = true;
        self.text += cursor.text_length()?;
        Some(())
    }
}
