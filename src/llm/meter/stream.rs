use std::collections::VecDeque;

use bytes::Bytes;

use super::{answerer::Answerer, errors::Errors, events, tokens::Tally};
use crate::llm::sse::EventReader;

/// The longest event that is hidden, and so the most that is held; the usage of a stream takes a few hundred bytes.
const HELD: usize = 4 * 1024;

/// Reads the usage of a stream of events, and hides the chunk that has nothing else.
#[derive(Debug, Default)]
pub(super) struct Stream {
    events: EventReader,
    tally: Tally,
    /// The last event has come.
    over: bool,
    /// It was told why the model has ended.
    finished: bool,
    errors: Errors,
    answerer: Answerer,
    hides: Option<Hides>,
}

/// Holds back what may turn out to be the event that is to be hidden.
#[derive(Debug, Default)]
struct Hides {
    /// The bytes so far of the event under way. They come before those of any later chunk.
    held: VecDeque<Bytes>,
    /// Of the event under way some has been passed on, so all of it is.
    passing: bool,
    /// The latest event was hidden.
    hidden: bool,
}

impl Stream {
    pub(super) fn new(hides: bool, errors: Errors) -> Self {
        Self { hides: hides.then(Hides::default), errors, ..Self::default() }
    }

    pub(super) fn telling(self, answerer: Answerer) -> Self {
        Self { answerer, ..self }
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether it may end here.
    pub(super) fn has_said_its_end(&self) -> bool {
        self.over || self.finished
    }

    /// Whether events are hidden: then less comes out than goes in.
    pub(super) fn hides(&self) -> bool {
        self.hides.is_some()
    }

    /// Whether bytes are held back.
    pub(super) fn holds(&self) -> bool {
        self.hides.as_ref().is_some_and(|hides| !hides.held.is_empty())
    }

    /// Reads `chunk`, and adds what is to be passed on now to `due`.
    pub(super) fn read(&mut self, chunk: Bytes, due: &mut VecDeque<Bytes>) {
        // The chunk is passed on up to `from`, read up to `at`.
        let mut at = self.events.take_leftover(&chunk);
        let hidden = self.hides.as_ref().is_some_and(|hides| hides.hidden);
        let mut from = if hidden { at } else { 0 };
        while let Some((used, data)) = self.events.next(&chunk[at..]) {
            let seen = data.map(|data| events::read(data, &mut self.tally)).unwrap_or_default();
            self.over |= seen.last;
            self.finished |= seen.finished;
            if let Some(error) = seen.error {
                self.errors.found(error);
            }
            if let Some(id) = seen.response {
                self.answerer.gives(id);
            }
            let end = at + used;
            if let Some(hides) = &mut self.hides {
                let fits = || hides.held.iter().map(Bytes::len).sum::<usize>() + used <= HELD;
                hides.hidden = seen.is_usage_alone() && !hides.passing && fits();
                hides.passing = false;
                if hides.hidden {
                    hides.held.clear();
                    due.extend(part(&chunk, from, at));
                    from = end;
                } else {
                    due.append(&mut hides.held);
                }
            }
            at = end;
        }
        let Some(hides) = &mut self.hides else { return due.push_back(chunk) };
        if at < chunk.len() && !hides.passing {
            hides.hidden = false;
            let may_be = self.events.pending_len().is_some_and(|length| length <= HELD)
                && self.events.pending().is_none_or(events::may_be_usage_alone);
            if may_be {
                due.extend(part(&chunk, from, at));
                hides.held.push_back(chunk.slice(at..));
                return;
            }
            hides.passing = true;
            due.append(&mut hides.held);
        }
        if from == 0 {
            due.push_back(chunk);
        } else {
            due.extend(part(&chunk, from, chunk.len()));
        }
    }

    /// Gives what is held to `due`; of a stream that is `whole`, what stands after the last empty line is an event too.
    pub(super) fn finish(&mut self, whole: bool, due: &mut VecDeque<Bytes>) {
        let pending = if whole { self.events.pending() } else { None };
        let seen = pending.map(|data| events::read(data, &mut self.tally)).unwrap_or_default();
        self.over |= seen.last;
        self.finished |= seen.finished;
        if let Some(error) = seen.error {
            self.errors.found(error);
        }
        let Some(hides) = &mut self.hides else { return };
        if seen.is_usage_alone() {
            hides.held.clear();
        }
        due.append(&mut hides.held);
    }
}

fn part(chunk: &Bytes, from: usize, to: usize) -> Option<Bytes> {
    (from < to).then(|| chunk.slice(from..to))
}

#[cfg(test)]
mod tests;
