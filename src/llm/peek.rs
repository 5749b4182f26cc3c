//! What the body of a request says, and where: one pass over it, in which no document is built.

use std::{ops::Range, str, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;

use self::{
    cuts::Cuts,
    fallbacks::NamedFallbacks,
    members::{Member, Seen, is_for_proxy},
    opening::Opening,
    scan::{Invalid, Literal, Scanner},
    text::Reading,
};
use super::{Edit, InspectError, ModelSlot, tokens::Totals};
use crate::Overrides;

mod cuts;
mod fallbacks;
mod members;
mod opening;
mod scan;
#[cfg(test)]
mod tests;
mod text;

#[cfg(test)]
pub(super) use self::members::{FOR_PROXY, MOCK_TESTING};
pub(super) use self::text::for_each_text;

/// What a body says that the layers of a fleet need.
#[derive(Debug, Default)]
pub(super) struct Peeked {
    pub(super) model: Option<String>,
    pub(super) model_slot: ModelSlot,
    pub(super) stream: bool,
    pub(super) usage_wanted: bool,
    /// What makes the body ask for the usage of its stream.
    pub(super) want_usage: Edit,
    /// What is not for the deployment, in the order of the body.
    pub(super) cuts: Vec<Edit>,
    pub(super) output_tokens: Option<u64>,
    pub(super) user: Option<String>,
    pub(super) priority: Option<i32>,
    pub(super) region: Option<String>,
    /// Of the body itself.
    pub(super) tags: Option<Vec<Arc<str>>>,
    /// Of its `metadata`.
    pub(super) metadata_tags: Vec<Arc<str>>,
    pub(super) fallbacks: Option<NamedFallbacks>,
    pub(super) disable_fallbacks: bool,
    pub(super) overrides: Overrides,
    pub(super) totals: Totals,
    /// The answer that the request goes on from.
    pub(super) previous_response: Option<String>,
    pub(super) prompt_cache_key: Option<String>,
    /// The hash of how the prompt begins, if that is asked for and long enough.
    pub(super) opening: Option<u64>,
    pub(super) strategy: Option<String>,
}

/// Reads what `body` says; how its prompt begins only if that `opening` is wanted.
pub(super) fn peek(body: &[u8], opening: bool) -> Result<Peeked, InspectError> {
    let text = str::from_utf8(body).map_err(|error| InspectError::NotJson {
        reason: format!("not UTF-8 at byte {}", error.valid_up_to()),
    })?;
    read(text, opening).map_err(|problem| problem.of(text))
}

/// What is wrong with a body.
#[derive(Debug)]
enum Problem {
    Invalid(Invalid),
    Member { name: String, reason: &'static str },
    NoModel,
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl Problem {
    fn member(name: impl Into<String>, reason: &'static str) -> Self {
        Self::Member { name: name.into(), reason }
    }

    fn of(self, text: &str) -> InspectError {
        let Invalid { at, expected } = match self {
            Self::Invalid(invalid) => invalid,
            Self::Member { name, reason } => return InspectError::Member { name, reason },
            Self::NoModel => return InspectError::NoModel,
        };
        let before = text.as_bytes().get(..at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        let column = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default().len() + 1;
        let reason = format!("expected {expected} at line {line} column {column}");
        InspectError::NotJson { reason }
    }
}

fn read(text: &str, opening: bool) -> Result<Peeked, Problem> {
    let mut reader = Reader {
        text,
        peeked: Peeked::default(),
        model_at: None,
        output: [None; 3],
        opening: Opening::new(opening),
    };
    let mut seen = Seen::default();
    let mut cuts = Cuts::default();
    let mut scanner = Scanner::new(text);
    let mut others = false;
    scanner.peek();
    let inside = scanner.at() + 1;
    scanner.members(|scanner, name, start| {
        // What is cut out of the member, should the rest of it stay.
        let mut inner = Vec::new();
        let keep = if let Some(member) = Member::of(name) {
            seen.once(member)?;
            reader.member(scanner, member, &mut inner)?
        } else {
            scanner.value(&mut ())?;
            !is_for_proxy(name)
        };
        others |= keep;
        cuts.member(start..scanner.at(), keep);
        cuts.inside(inner);
        Ok::<_, Problem>(())
    })?;
    scanner.end()?;
    let Reader { mut peeked, model_at, output, opening: begins, .. } = reader;
    peeked.opening = begins.finish(opening);
    let want_usage = if let Some(at) = model_at {
        peeked.model_slot = ModelSlot::of_value(at.clone());
        Edit::new(at.end..at.end, r#","stream_options":{"include_usage":true}"#)
    } else {
        peeked.model_slot = ModelSlot::missing(inside, others);
        // Only of a stream it is wanted, so `stream` is behind it.
        Edit::new(inside..inside, r#""stream_options":{"include_usage":true},"#)
    };
    if peeked.want_usage.with.is_empty() {
        peeked.want_usage = want_usage;
    }
    peeked.output_tokens = output.into_iter().flatten().next();
    peeked.cuts = cuts.finish();
    Ok(peeked)
}

struct Reader<'a> {
    text: &'a str,
    peeked: Peeked,
    /// Where the value of `model` stands, quotes included.
    model_at: Option<Range<usize>>,
    /// The limits of the output that the body names, the newest name first.
    output: [Option<u64>; 3],
    opening: Opening,
}

impl<'a> Reader<'a> {
    /// Reads the value of `member`. Returns whether the member stays in the body, without what is `cut` out of it.
    fn member(
        &mut self,
        scanner: &mut Scanner<'a>,
        member: Member,
        cut: &mut Vec<Edit>,
    ) -> Result<bool, Problem> {
        let name = member.name();
        match member {
            Member::Model => self.model(scanner)?,
            Member::Stream => self.peeked.stream = self.flag(scanner, name)?,
            Member::StreamOptions => self.stream_options(scanner)?,
            Member::MaxCompletionTokens => self.output[0] = self.limit(scanner, name)?,
            Member::MaxOutputTokens => self.output[1] = self.limit(scanner, name)?,
            Member::MaxTokens => self.output[2] = self.limit(scanner, name)?,
            Member::User => {
                let user = self.typed(scanner, name, STRING)?;
                self.peeked.user = user.or(self.peeked.user.take());
            }
            Member::Metadata => return self.metadata(scanner, cut),
            Member::Tags => {
                self.peeked.tags = self.typed(scanner, name, STRINGS)?.map(shared);
            }
            Member::Fallbacks => self.peeked.fallbacks = self.fallbacks(scanner)?,
            Member::DisableFallbacks => {
                self.peeked.disable_fallbacks = self.flag(scanner, name)?;
            }
            Member::NumRetries => {
                self.peeked.overrides.retries = self.typed(scanner, name, WHOLE)?;
            }
            Member::Timeout => self.peeked.overrides.timeout = self.duration(scanner, name)?,
            Member::StreamTimeout => {
                self.peeked.overrides.stream_timeout = self.duration(scanner, name)?;
            }
            Member::Priority => self.peeked.priority = self.typed(scanner, name, WHOLE)?,
            Member::AllowedModelRegion => {
                self.peeked.region = self.typed(scanner, name, STRING)?;
            }
            Member::PreviousResponseId => {
                self.peeked.previous_response = self.typed(scanner, name, STRING)?;
            }
            Member::PromptCacheKey => {
                self.peeked.prompt_cache_key = self.typed(scanner, name, STRING)?;
            }
            Member::RoutingStrategy => self.peeked.strategy = self.typed(scanner, name, STRING)?,
            member if member.is_prompt() => {
                self.opening.member();
                let (totals, opening) = (&mut self.peeked.totals, &mut self.opening);
                scanner.value(&mut Reading { totals, opening })?;
            }
            _ => self.peeked.totals.bytes += scanner.value(&mut ())?.len() as u64,
        }
        Ok(!member.is_ours())
    }

    /// The text of the value.
    fn raw(&self, scanner: &mut Scanner<'a>) -> Result<(&'a str, Range<usize>), Invalid> {
        let at = scanner.value(&mut ())?;
        Ok((self.text.get(at.clone()).unwrap_or_default(), at))
    }

    /// The value as a `T`; none where it is `null`.
    fn typed<T: DeserializeOwned>(
        &self,
        scanner: &mut Scanner<'a>,
        name: &str,
        expected: &'static str,
    ) -> Result<Option<T>, Problem> {
        let (raw, _) = self.raw(scanner)?;
        if raw.len() > LONGEST {
            return Err(Problem::member(name, TOO_LONG));
        }
        serde_json::from_str(raw).map_err(|_| Problem::member(name, expected))
    }

    fn flag(&self, scanner: &mut Scanner<'a>, name: &str) -> Result<bool, Problem> {
        Ok(self.typed(scanner, name, BOOLEAN)?.unwrap_or(false))
    }

    /// Some clients and servers write a negative number where there is no limit.
    fn limit(&self, scanner: &mut Scanner<'a>, name: &str) -> Result<Option<u64>, Problem> {
        let limit: Option<i64> = self.typed(scanner, name, WHOLE)?;
        Ok(limit.and_then(|limit| limit.try_into().ok()))
    }

    fn duration(&self, scanner: &mut Scanner<'a>, name: &str) -> Result<Option<Duration>, Problem> {
        let seconds: Option<f64> = self.typed(scanner, name, SECONDS)?;
        let duration = |seconds| duration(seconds).ok_or_else(|| Problem::member(name, SECONDS));
        seconds.map(duration).transpose()
    }

    fn model(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Problem> {
        let (raw, at) = self.raw(scanner)?;
        self.peeked.model = serde_json::from_str(raw).map_err(|_| Problem::NoModel)?;
        self.model_at = Some(at);
        Ok(())
    }

    fn stream_options(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Problem> {
        match scanner.peek() {
            Some(b'{') => {}
            Some(b'n') => {
                let at = scanner.value(&mut ())?;
                self.peeked.want_usage = Edit::new(at, r#"{"include_usage":true}"#);
                return Ok(());
            }
            _ => return wrong_type(scanner, Member::StreamOptions, OBJECT),
        }
        let inside = scanner.at() + 1;
        let (mut empty, mut asked) = (true, None);
        scanner.members(|scanner, name, _| {
            empty = false;
            if !is(name, "include_usage") {
                return scanner.value(&mut ()).map(drop).map_err(Problem::from);
            }
            let (raw, at) = self.raw(scanner)?;
            let wanted: Option<bool> = serde_json::from_str(raw)
                .map_err(|_| Problem::member("stream_options.include_usage", BOOLEAN))?;
            if asked.replace((wanted == Some(true), at)).is_some() {
                return Err(Problem::member("stream_options.include_usage", TWICE));
            }
            Ok(())
        })?;
        self.peeked.want_usage = match asked {
            Some((wanted, at)) => {
                self.peeked.usage_wanted = wanted;
                Edit::new(at, "true")
            }
            None if empty => Edit::new(inside..inside, r#""include_usage":true"#),
            None => Edit::new(inside..inside, r#""include_usage":true,"#),
        };
        Ok(())
    }

    /// Reads the tags in `metadata`, and Anthropic's name of the user. Returns whether the member is to stay, without
    /// what is `cut` out of it.
    fn metadata(
        &mut self,
        scanner: &mut Scanner<'a>,
        cut: &mut Vec<Edit>,
    ) -> Result<bool, Problem> {
        if scanner.peek() != Some(b'{') {
            // OpenAI takes no other than an object, or null; it is the one to say so.
            scanner.value(&mut ())?;
            return Ok(true);
        }
        let (mut tags, mut user, mut others) = (None, None, false);
        let mut cuts = Cuts::default();
        scanner.members(|scanner, name, start| {
            let mut keep = true;
            if is(name, "tags") {
                // A text under this name is data of the provider's, which takes a map of texts here.
                keep = scanner.peek() == Some(b'"');
                let found = if keep {
                    scanner.value(&mut ())?;
                    None
                } else {
                    self.typed::<Vec<String>>(scanner, "metadata.tags", STRINGS)?
                };
                if tags.replace(found).is_some() {
                    return Err(Problem::member("metadata.tags", TWICE));
                }
            } else if is(name, "user_id") {
                let (raw, _) = self.raw(scanner)?;
                if user.replace(serde_json::from_str::<String>(raw).ok()).is_some() {
                    return Err(Problem::member("metadata.user_id", TWICE));
                }
            } else {
                scanner.value(&mut ())?;
            }
            others |= keep;
            cuts.member(start..scanner.at(), keep);
            Ok::<_, Problem>(())
        })?;
        self.peeked.metadata_tags = tags.clone().flatten().map(shared).unwrap_or_default();
        if let Some(user) = user.flatten() {
            self.peeked.user.get_or_insert(user);
        }
        *cut = cuts.finish();
        Ok(others || tags.is_none())
    }
}

/// Refuses a value, unless it is not even JSON.
fn wrong_type<T>(
    scanner: &mut Scanner<'_>,
    member: Member,
    expected: &'static str,
) -> Result<T, Problem> {
    scanner.value(&mut ())?;
    Err(Problem::member(member.name(), expected))
}

const BOOLEAN: &str = "expected true or false";
const OBJECT: &str = "expected an object";
pub(super) const SECONDS: &str = "expected a positive number of seconds";
const STRING: &str = "expected a string";
const STRINGS: &str = "expected a list of strings";
const TWICE: &str = "stands twice";
const TOO_LONG: &str = "longer than 64 KiB";
/// The longest value that is read for what it says: a list of a million tags is no list of tags.
const LONGEST: usize = 64 * 1024;
pub(super) const WHOLE: &str = "expected a whole number";

/// Whether a member has this name, however it is written.
fn is(name: Literal<'_>, expected: &str) -> bool {
    name.text().is_some_and(|name| name == expected)
}

fn shared(texts: Vec<String>) -> Vec<Arc<str>> {
    texts.into_iter().map(Into::into).collect()
}

/// So many seconds, if that is a time to wait; no more than a year, for a clock must be able to reach it.
pub(super) fn duration(seconds: f64) -> Option<Duration> {
    const YEAR: f64 = 365.0 * 24.0 * 3600.0;
    // Of what is not a number neither is true.
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(YEAR)))
}
