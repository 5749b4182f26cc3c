use std::fmt;

#[cfg(feature = "llm")]
use http::HeaderValue;

/// A text that must not be seen, such as an API key: its `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A secret, to be sent in a header. White space around it is dropped.
    ///
    /// # Errors
    ///
    /// For a text that is empty, or has other than visible ASCII characters; the error does not show it.
    pub fn new(text: &str) -> Result<Self, InvalidSecret> {
        Self::parse(text).map_err(InvalidSecret)?.ok_or(InvalidSecret("it is empty"))
    }

    /// An empty text is no secret. The error never holds the text.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, &'static str> {
        let text = text.trim();
        if text.contains(char::is_whitespace) {
            return Err("expected no white space in it, as it is sent in a header");
        }
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

    /// The value of a header, this text after `scheme`, whose `Debug` does not show it.
    #[cfg(feature = "llm")]
    pub(crate) fn header(&self, scheme: &'static str) -> HeaderValue {
        // Visible ASCII is always valid.
        let value = HeaderValue::try_from(format!("{scheme}{}", self.0));
        let mut value = value.unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A text that can be no [`Secret`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSecret(&'static str);

impl fmt::Display for InvalidSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a secret: {}", self.0)
    }
}

impl std::error::Error for InvalidSecret {}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_shown_by_neither_itself_nor_its_error() {
        let secret = Secret::new(" sk-hunter2\n").unwrap();
        assert_eq!(secret.expose(), "sk-hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        #[cfg(feature = "llm")]
        {
            let header = secret.header("Bearer ");
            assert_eq!(header, "Bearer sk-hunter2");
            assert!(!format!("{header:?}").contains("hunter2"));
        }
        for (text, reason) in
            [("", "empty"), (" ", "empty"), ("hunter\n2", "white space"), ("hünter", "ASCII")]
        {
            let error = Secret::new(text).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(!format!("{error} {error:?}").contains("nter"), "{error:?}");
        }
    }
}
