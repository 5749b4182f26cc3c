use std::fmt;

/// A text that must not be seen, such as an API key: its `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// White space around the text is dropped; an empty one is no secret. The error never holds the
    /// text.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, &'static str> {
        let text = text.trim();
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("expected visible ASCII characters only, as it is sent in a header");
        }
        Ok((!text.is_empty()).then(|| Self(text.to_owned())))
    }

    /// The text itself, never empty and of visible ASCII only, so that it can stand in a header.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
