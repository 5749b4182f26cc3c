//! `general_settings`, which is for LiteLLM's server: what of it keeps callers out.

use super::{Secret, keys, read::Section};

/// The key that callers must show. One that cannot be read is an error: whoever sets it must not
/// believe in a door that stands open.
pub(super) fn read(root: &mut Section<'_>) -> Option<Secret> {
    const VARIABLE: &str = "LITELLM_MASTER_KEY";
    const EMPTY: &str = "expected a key that is not empty";
    let mut settings = root.section("general_settings");
    let key = if let Some(field) = settings.take("master_key") {
        if field.is_blank() {
            field.at.error(EMPTY);
        }
        field.secret()
    } else {
        settings.at.variable(VARIABLE).and_then(|value| {
            let key = Secret::parse(&value).and_then(|key| key.ok_or(EMPTY));
            let note = |message| {
                let at = settings.at_of("master_key");
                at.error(format!("environment variable {VARIABLE}: {message}"));
            };
            key.map_err(note).ok()
        })
    };
    settings.finish(&keys::GENERAL_SETTINGS);
    key
}
