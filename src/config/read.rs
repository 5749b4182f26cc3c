//! Reading a tree: every key is asked for by name, every mistake is noted with its place, and
//! reading goes on.

use std::{cell::RefCell, collections::HashMap};

use super::{
    field::Field,
    keys::Keys,
    problem::Problem,
    suggest::{did_you_mean, nearest},
    value::{Node, Value},
};

/// Gathers what is wrong while a file is read, and knows the environment.
pub(super) struct Reader<'r> {
    environment: &'r dyn Fn(&str) -> Option<String>,
    /// What the file puts before the environment.
    variables: RefCell<HashMap<String, String>>,
    errors: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl<'r> Reader<'r> {
    pub(super) fn new(environment: &'r dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            environment,
            variables: RefCell::default(),
            errors: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Puts a variable before those of the environment.
    pub(super) fn set_variable(&self, name: String, value: String) {
        self.variables.borrow_mut().insert(name, value);
    }

    /// Where the whole file stands.
    pub(super) fn top(&'r self) -> At<'r> {
        At { reader: self, place: String::new(), line: 1 }
    }

    /// The errors and the warnings, each in the order of the file.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        let (mut errors, mut warnings) = (self.errors.into_inner(), self.warnings.into_inner());
        errors.sort_by_key(|problem| problem.line);
        warnings.sort_by_key(|problem| problem.line);
        (errors, warnings)
    }
}

/// Where in the file something stands.
#[derive(Clone)]
pub(super) struct At<'r> {
    reader: &'r Reader<'r>,
    pub(super) place: String,
    pub(super) line: u64,
}

impl At<'_> {
    /// The key `key` of the map that stands here.
    pub(super) fn key(&self, key: &str) -> Self {
        let place =
            if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) };
        Self { place, ..self.clone() }
    }

    /// The same place, on that line.
    pub(super) fn on(self, line: u64) -> Self {
        Self { line, ..self }
    }

    /// The item `index` of the list that stands here.
    pub(super) fn index(&self, index: usize) -> Self {
        Self { place: format!("{}[{index}]", self.place), ..self.clone() }
    }

    /// What the file or the environment holds under `name`.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let of_file = self.reader.variables.borrow().get(name).cloned();
        of_file.or_else(|| (self.reader.environment)(name))
    }

    pub(super) fn error(&self, message: impl Into<String>) {
        self.reader.errors.borrow_mut().push(self.problem(message.into()));
    }

    pub(super) fn warn(&self, message: impl Into<String>) {
        self.reader.warnings.borrow_mut().push(self.problem(message.into()));
    }

    fn problem(&self, message: String) -> Problem {
        Problem { place: self.place.clone(), line: self.line, message }
    }
}

/// A map of the file: hands out its keys, and at the end reports those nobody asked for.
pub(super) struct Section<'r> {
    pub(super) at: At<'r>,
    entries: Vec<(String, Node)>,
    asked: Vec<&'static str>,
}

impl<'r> Section<'r> {
    pub(super) fn new(at: At<'r>, entries: Vec<(String, Node)>) -> Self {
        Self { at, entries, asked: Vec::new() }
    }

    /// The value of `key`, unless it is absent, null, or an environment variable that is not set
    /// (which is noted).
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field<'r>> {
        self.asked.push(key);
        let index = self.entries.iter().position(|(name, _)| name == key)?;
        Field::new(self.at.key(key), self.entries.remove(index).1)
    }

    /// Where the value of `key` stands, or would.
    pub(super) fn at_of(&self, key: &str) -> At<'r> {
        let node = self.entries.iter().find(|(name, _)| name == key);
        self.at.key(key).on(node.map_or(self.at.line, |(_, node)| node.line))
    }

    /// Whether `key` is there, and not null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, node)| name == key && !matches!(node.value, Value::Null))
    }

    /// The value of `key`; notes that it is missing, with `what` it is.
    pub(super) fn require(&mut self, key: &'static str, what: &str) -> Option<Field<'r>> {
        if !self.has(key) {
            self.at.key(key).error(format!("missing: {what}"));
        }
        self.take(key)
    }

    /// The map that is the value of `key`, empty when absent.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        match self.take(key) {
            Some(field) => field.section(),
            None => Self::new(self.at.key(key), Vec::new()),
        }
    }

    /// Warns of every key that was not asked for; `keys` are those LiteLLM has.
    pub(super) fn finish(self, keys: &Keys) {
        #[cfg(test)]
        keys.agree_with(&self.asked);
        for (key, node) in &self.entries {
            let at = self.at.key(key).on(node.line);
            let near = nearest(key, self.asked.iter().copied());
            // `default_fallback` is a mistyped `default_fallbacks`, though LiteLLM has many a
            // `default_*`.
            if let Some(fate) = keys.fate(key, near.is_none()) {
                if let Some(message) = fate.warning(&node.value) {
                    at.warn(message);
                }
            } else {
                let near = near.or_else(|| nearest(key, keys.names()));
                at.warn(format!("unknown key{}", did_you_mean(near)));
            }
        }
    }
}
