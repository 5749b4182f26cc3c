//! Whole files in, values and exact messages out.

mod errors;
mod fleet;
mod providers;
mod settings;
mod values;
mod warnings;

use super::{Config, ConfigError};

const ENVIRONMENT: &[(&str, &str)] = &[
    ("OPENAI_KEY", "sk-file\n"),
    ("OPENAI_API_KEY", "sk-openai"),
    ("GROQ_API_KEY", "sk-groq"),
    ("HEAVY", "1.5"),
    ("COUNT", "7"),
    ("ON", "True"),
    ("SECRET_PATH", "sk/secret"),
];

fn read(text: &str) -> Result<Config, ConfigError> {
    Config::from_yaml_with(text, |name| {
        ENVIRONMENT.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

fn valid(text: &str) -> Config {
    read(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A file with one deployment that is all right on its first line, and `rest` after it.
fn with(rest: &str) -> String {
    format!("model_list: [{{model_name: chat, litellm_params: {{model: openai/gpt-4o}}}}]\n{rest}")
}

/// A file with one deployment of which `params` are the parameters but for the model.
fn params(params: &str) -> String {
    format!(
        "model_list: [{{model_name: chat, litellm_params: {{model: openai/gpt-4o, {params}}}}}]"
    )
}
