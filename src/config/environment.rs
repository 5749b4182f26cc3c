//! `environment_variables`.

use super::read::{Reader, Section};

/// Variables that go before those of the environment, for this file alone.
pub(super) fn read(root: &mut Section<'_>, reader: &Reader<'_>) {
    let Some(field) = root.take("environment_variables") else { return };
    for (name, field) in field.entries("a map from variables to their values").unwrap_or_default() {
        if let Some(value) = field.variable_value() {
            reader.set_variable(name, value);
        }
    }
}
