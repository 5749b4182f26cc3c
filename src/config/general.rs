//! `general_settings`, which is for LiteLLM's server: what of it keeps callers out.

use super::{Secret, address, keys, read::Section};

/// The key that callers must show. One that cannot be read is an error: whoever sets it must not
/// believe in a door that stands open.
pub(super) fn read(root: &mut Section<'_>) -> Option<Secret> {
    const VARIABLE: &str = "LITELLM_MASTER_KEY";
    let mut settings = root.section("general_settings");
    let key = if let Some(field) = settings.take("master_key") {
        if field.is_blank() {
            field.at.error("expected a key that is not empty");
        }
        field.secret()
    } else {
        let variable = address::of_variables(&[VARIABLE], &settings.at);
        let key = variable.map_or(Ok(None), |(_, value)| Secret::parse(&value));
        key.unwrap_or_else(|message| {
            settings
                .at_of("master_key")
                .error(format!("environment variable {VARIABLE}: {message}"));
            None
        })
    };
    settings.finish(&keys::GENERAL_SETTINGS);
    key
}
