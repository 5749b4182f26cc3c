//! A configuration file.

use tower_fleet::config::Config;

const SECRET: &str = "secret-of-the-environment";

/// What is wrong is said in words, and never with a secret in them; what is right makes a fleet, or says why not.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The file does not know it.
    if text.contains(SECRET) {
        return;
    }
    let environment = |name: &str| name.contains("KEY").then(|| SECRET.to_owned());
    match Config::from_yaml_with(text, environment) {
        Ok(config) => {
            for warning in &config.warnings {
                is_said(&warning.to_string());
            }
            if let Err(error) = config.fleet() {
                is_said(&error.to_string());
            }
        }
        Err(error) => is_said(&error.to_string()),
    }
}

fn is_said(text: &str) {
    assert!(!text.trim().is_empty());
    assert!(!text.contains(SECRET), "{text}");
}
