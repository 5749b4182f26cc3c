//! Values that were asked for, as what they should be: whatever is not is noted.

use std::{fmt, time::Duration};

use super::{
    Secret,
    read::{At, Section},
    value::{Node, Value},
};

/// What a value that names an environment variable begins with.
const ENVIRONMENT: &str = "os.environ/";

/// A value that was asked for. It is not null, and a value that named an environment variable is
/// that variable's.
pub(super) struct Field<'r> {
    pub(super) at: At<'r>,
    value: Value,
    /// The environment variable it came from, whose value is never shown.
    variable: Option<String>,
}

impl<'r> Field<'r> {
    pub(super) fn root(at: At<'r>, node: Node) -> Self {
        // An empty file is a configuration without keys.
        let value =
            if matches!(node.value, Value::Null) { Value::Map(Vec::new()) } else { node.value };
        Self { at, value, variable: None }
    }

    /// `None` when it is null, or an environment variable that is not set, which is noted.
    pub(super) fn new(at: At<'r>, node: Node) -> Option<Self> {
        let at = at.on(node.line);
        match node.value {
            Value::Null => None,
            Value::Text(text) => match text.strip_prefix(ENVIRONMENT) {
                None => Some(Self { at, value: Value::Text(text), variable: None }),
                Some(name) if name.trim().is_empty() => {
                    at.error(format!(
                        "expected the name of an environment variable after `{ENVIRONMENT}`"
                    ));
                    None
                }
                Some(name) => {
                    let found = at.variable(name);
                    if found.is_none() {
                        at.error(format!("environment variable {name} is not set"));
                    }
                    let variable = Some(name.to_owned());
                    found.map(|found| Self { at, value: Value::Text(found), variable })
                }
            },
            value => Some(Self { at, value, variable: None }),
        }
    }

    /// Notes that something else than `expected` was found.
    pub(super) fn wrong(&self, expected: &str) {
        self.at.error(format!("expected {expected}, found {self}"));
    }

    /// As [`wrong`](Self::wrong) for a map or list. A text in its place is not quoted: it may be
    /// anything, also a secret.
    fn wrong_shape(&self, expected: &str) {
        match self.value {
            Value::Text(_) => self.at.error(format!("expected {expected}, found a text")),
            _ => self.wrong(expected),
        }
    }

    /// A text that is not empty, without white space around it. A number is taken as it would be
    /// written.
    pub(super) fn text(&self) -> Option<String> {
        self.text_or("a text")
    }

    /// [`text`](Self::text), where a mistake is told as `expected`.
    pub(super) fn text_or(&self, expected: &str) -> Option<String> {
        let text = match &self.value {
            Value::Text(text) if !text.trim().is_empty() => text.trim().to_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            _ => {
                self.wrong(expected);
                return None;
            }
        };
        Some(text)
    }

    /// A secret, whose value is never shown; an empty one is none.
    pub(super) fn secret(&self) -> Option<Secret> {
        let secret = match &self.value {
            Value::Text(text) => Secret::parse(text),
            Value::Integer(number) => Secret::parse(&number.to_string()),
            _ => Err("expected a text"),
        };
        secret.unwrap_or_else(|message| {
            self.at.error(message);
            None
        })
    }

    /// Whether it is a text without any but white space.
    pub(super) fn is_blank(&self) -> bool {
        matches!(&self.value, Value::Text(text) if text.trim().is_empty())
    }

    /// The value of an environment variable, as Python writes it.
    pub(super) fn variable_value(self) -> Option<String> {
        match self.value {
            Value::Text(text) => Some(text),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(if flag { "True" } else { "False" }.to_owned()),
            _ => {
                self.wrong_shape("a text");
                None
            }
        }
    }

    /// A finite number that is accepted. Text that reads as one will do: the environment holds
    /// nothing else.
    pub(super) fn number(&self, expected: &str, accept: impl Fn(f64) -> bool) -> Option<f64> {
        let number = match &self.value {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a weight or a time of more than 53 bits may be rounded"
            )]
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite() && accept(*number));
        if number.is_none() {
            self.wrong(expected);
        }
        number
    }

    /// A whole number that `T` can hold; `1e6` is one too.
    pub(super) fn integer<T: TryFrom<i128>>(&self, expected: &str) -> Option<T> {
        /// Beyond this a float no longer holds every whole number.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let whole = |number: f64| {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
            (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i128)
        };
        let number = match &self.value {
            Value::Integer(number) => Some(*number),
            Value::Float(number) => whole(*number),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.wrong(expected);
        }
        number
    }

    /// A whole number of at least 0.
    pub(super) fn count<T: TryFrom<i128>>(&self) -> Option<T> {
        self.integer("a whole number of at least 0")
    }

    /// Seconds, whole or not, of at least 0.
    pub(super) fn seconds(&self) -> Option<Duration> {
        self.duration(self.number("a number of seconds of at least 0", |seconds| seconds >= 0.0)?)
    }

    /// Seconds, whole or not, of more than 0.
    pub(super) fn some_seconds(&self) -> Option<Duration> {
        let seconds = self.number("a number of seconds greater than 0", |seconds| seconds > 0.0)?;
        // Less would become none at all.
        self.number("a number of seconds of at least 1e-9", |seconds| seconds >= 1e-9)?;
        self.duration(seconds)
    }

    fn duration(&self, seconds: f64) -> Option<Duration> {
        let duration = Duration::try_from_secs_f64(seconds);
        // It is not negative.
        duration.inspect_err(|_| self.wrong("a number of seconds below 2^64")).ok()
    }

    /// True or false.
    pub(super) fn flag(&self) -> Option<bool> {
        let flag = match &self.value {
            Value::Bool(flag) => Some(*flag),
            Value::Text(text) => as_flag(text),
            _ => None,
        };
        if flag.is_none() {
            self.wrong("true or false");
        }
        flag
    }

    /// The items of a list, without those that are null.
    pub(super) fn list(self, expected: &str) -> Option<Vec<Self>> {
        let Value::List(items) = self.value else {
            self.wrong_shape(expected);
            return None;
        };
        let items = items.into_iter().enumerate();
        Some(items.filter_map(|(index, node)| Self::new(self.at.index(index), node)).collect())
    }

    /// The entries of a map, without those that are null.
    pub(super) fn entries(self, expected: &str) -> Option<Vec<(String, Self)>> {
        let Value::Map(entries) = self.value else {
            self.wrong_shape(expected);
            return None;
        };
        let field = |(key, node): (String, Node)| {
            Self::new(self.at.key(&key), node).map(|field| (key, field))
        };
        Some(entries.into_iter().filter_map(field).collect())
    }

    /// A map whose keys are asked for one by one.
    pub(super) fn section(self) -> Section<'r> {
        let entries = if let Value::Map(entries) = self.value {
            entries
        } else {
            self.wrong_shape("a map");
            Vec::new()
        };
        Section::new(self.at, entries)
    }

    /// How it is told where it is a name, however long.
    pub(super) const fn as_name(&self) -> Name<'_> {
        Name(self)
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }
}

/// The truth value that a text is in YAML 1.1, as Python reads it.
pub(super) fn as_flag(text: &str) -> Option<bool> {
    match &*text.trim().to_ascii_lowercase() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// What was found, in a message. A text is quoted only where it is too short to be a key.
impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 24;
        if let Some(name) = &self.variable {
            return write!(f, "the value of environment variable {name}");
        }
        match &self.value {
            Value::Null => f.write_str("nothing"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value:?}"),
            Value::Text(value)
                if value.len() > LONGEST || value.trim_start().starts_with("sk-") =>
            {
                f.write_str("a text that is not shown, as it may be a secret")
            }
            Value::Text(value) => write!(f, "{value:?}"),
            Value::List(_) => f.write_str("a list"),
            Value::Map(_) => f.write_str("a map"),
        }
    }
}

/// A [`Field`] that names a model or a group, in a message.
pub(super) struct Name<'f>(&'f Field<'f>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.variable, &self.0.value) {
            (None, Value::Text(name)) => write!(f, "{name:?}"),
            _ => self.0.fmt(f),
        }
    }
}
