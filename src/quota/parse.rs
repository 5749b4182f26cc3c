use std::{error, fmt, str::FromStr, time::Duration};

use super::{Calendar, Window};

impl FromStr for Window {
    type Err = ParseWindowError;

    /// A number and a unit, as LiteLLM's `budget_duration` has them: `30s`, `30m`, `24h`, `7d` and `2w` are any stretch
    /// of that length, `1mo` is the month of the calendar, in UTC.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_fleet::quota::{Calendar, Window};
    ///
    /// # fn main() -> Result<(), tower_fleet::quota::ParseWindowError> {
    /// assert_eq!("30m".parse::<Window>()?, Window::Rolling(Duration::from_secs(1800)));
    /// assert_eq!("1mo".parse::<Window>()?, Window::Calendar(Calendar::monthly()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What is not of this form, zero, more than one month, and more than the clock can reckon.
    fn from_str(text: &str) -> Result<Self, ParseWindowError> {
        let error = |what| ParseWindowError { text: text.into(), what };
        let digits = text.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let seconds = match unit {
            _ if number.is_empty() => return Err(error(What::Form)),
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            "w" => 7 * 24 * 60 * 60,
            "mo" if number.trim_start_matches('0') == "1" => {
                return Ok(Self::Calendar(Calendar::monthly()));
            }
            "mo" => return Err(error(What::Months)),
            _ => return Err(error(What::Form)),
        };
        let length = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
        match length {
            Some(0) => Err(error(What::Zero)),
            Some(length) => Ok(Self::Rolling(Duration::from_secs(length))),
            None => Err(error(What::Length)),
        }
    }
}

/// A text that names no [`Window`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseWindowError {
    text: Box<str>,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Form,
    Months,
    Zero,
    Length,
}

impl fmt::Display for ParseWindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no length of time: ", self.text)?;
        f.write_str(match self.what {
            What::Form => {
                "it must be a whole number with one of the units s, m, h, d, w or mo, such as `24h`"
            }
            What::Months => "of months there is `1mo` alone, that of the calendar; else give days",
            What::Zero => "it must be more than nothing",
            What::Length => "it is too long",
        })
    }
}

impl error::Error for ParseWindowError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_litellm_writes_is_read() {
        for (text, seconds) in
            [("30s", 30), ("30m", 1800), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)]
        {
            assert_eq!(text.parse(), Ok(Window::Rolling(Duration::from_secs(seconds))), "{text}");
        }
        assert_eq!("1mo".parse(), Ok(Window::Calendar(Calendar::monthly())));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, what) in [
            ("", "whole number"),
            ("30", "whole number"),
            ("s", "whole number"),
            ("1.5h", "whole number"),
            ("-1h", "whole number"),
            ("1 h", "whole number"),
            ("1h30m", "whole number"),
            ("1y", "whole number"),
            ("3mo", "give days"),
            ("0d", "more than nothing"),
            ("18446744073709551615d", "too long"),
            ("99999999999999999999s", "too long"),
        ] {
            let error = text.parse::<Window>().unwrap_err().to_string();
            assert!(error.contains(what), "{text:?}: {error}");
            assert!(error.starts_with(&format!("{text:?}")), "{error}");
        }
    }
}
