//! What can be wrong with a configuration, and how it is told.

use std::{error::Error, fmt, io, path::PathBuf};

/// Something at one place of the file: a mistake in [`ConfigError::Invalid`], or in
/// [`Config::warnings`] something that has no effect.
///
/// Shown as `line 7: model_list[2].litellm_params.weight: expected a number of at least 0, found
/// "heavy"`. It never holds a secret, nor a value taken from the environment.
///
/// [`Config::warnings`]: super::Config::warnings
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The path of keys and indices that leads to it, such as
    /// `model_list[2].litellm_params.weight`; empty for the file as a whole.
    pub place: String,
    /// The line of the file, from 1.
    pub line: u64,
    /// What was found there and what was expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)
    }
}

/// Why a configuration cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The text is not one YAML document.
    Syntax {
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong there.
        message: String,
    },
    /// The text is YAML, but not a configuration that can work.
    ///
    /// Displayed with one problem a line; the warnings follow, as a mistyped key is often why
    /// another is missing.
    Invalid {
        /// Every mistake, in the order of the file. Never empty.
        errors: Vec<Problem>,
        /// What [`Config::warnings`](super::Config::warnings) would have held.
        warnings: Vec<Problem>,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => write!(f, "cannot read {}", path.display()),
            Self::Syntax { line, column, message } => {
                write!(f, "line {line}, column {column}: not valid YAML: {message}")
            }
            Self::Invalid { errors, warnings } => {
                let mut separator = "";
                for error in errors {
                    write!(f, "{separator}{error}")?;
                    separator = "\n";
                }
                warnings.iter().try_for_each(|warning| write!(f, "\nwarning: {warning}"))
            }
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Syntax { .. } | Self::Invalid { .. } => None,
        }
    }
}
