//! What of a body is a prompt.

use std::borrow::Cow;

use super::{
    Problem,
    members::Member,
    opening::Opening,
    scan::{Literal, Scanner, Visit},
};
use crate::llm::tokens::Totals;

/// What a string in a prompt is.
enum Part {
    Text,
    /// The type of a part that is an image.
    ImageType,
    /// The bytes of an image, as text.
    Image,
    /// The bytes of a file of another kind, as text.
    File,
    /// What says how to read others.
    Label,
}

impl Part {
    fn of(name: Literal<'_>, value: Literal<'_>) -> Self {
        let text = value.raw;
        match name.raw {
            "type" if matches!(text, "image_url" | "input_image" | "image") => Self::ImageType,
            "type" | "role" => Self::Label,
            _ if is_data_url(text) => {
                if text.starts_with("data:image") {
                    Self::Image
                } else {
                    Self::File
                }
            }
            "data" | "file_data" if is_base64(text) => {
                // How PNG, JPEG, GIF and WebP begin.
                let image = ["iVBORw", "/9j/", "\\/9j\\/", "R0lGOD", "UklGR"];
                let image = image.iter().any(|first| text.starts_with(first));
                if image { Self::Image } else { Self::File }
            }
            _ => Self::Text,
        }
    }
}

fn is_data_url(text: &str) -> bool {
    let head = text.as_bytes().get(..128).unwrap_or(text.as_bytes());
    head.starts_with(b"data:")
        && head
            .iter()
            .position(|byte| *byte == b',')
            .is_some_and(|at| head[..at].ends_with(b";base64"))
}

/// By its beginning: a text has a space there.
fn is_base64(text: &str) -> bool {
    // Some writers escape each slash.
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_\\".contains(byte);
    text.as_bytes().get(..64).is_some_and(|head| head.iter().all(fits))
}

/// Counts what is in a prompt, and takes note of how it begins.
pub(super) struct Reading<'r> {
    pub(super) totals: &'r mut Totals,
    pub(super) opening: &'r mut Opening,
}

impl<'a> Visit<'a> for Reading<'_> {
    fn string(&mut self, name: Literal<'a>, value: Literal<'a>) {
        let totals = &mut *self.totals;
        match Part::of(name, value) {
            Part::Text => {
                totals.bytes += value.len() as u64;
                self.opening.text(value);
            }
            Part::ImageType => totals.image_parts += 1,
            Part::Image => totals.image_data += 1,
            Part::File => totals.files += 1,
            Part::Label => self.opening.role(value),
        }
    }

    fn number(&mut self) {
        self.totals.ids += 1;
    }

    fn object(&mut self, depth: u32) {
        if depth == 1 {
            self.totals.messages += 1;
            self.opening.message();
        }
    }
}

/// Hands on each text of a prompt.
struct Texts<F>(F);

impl<'a, F: FnMut(Cow<'a, str>)> Visit<'a> for Texts<F> {
    fn string(&mut self, name: Literal<'a>, value: Literal<'a>) {
        if let Part::Text = Part::of(name, value) {
            // What has half a character in it is counted as it is written.
            (self.0)(value.text().unwrap_or(Cow::Borrowed(value.raw)));
        }
    }
}

/// Reads the texts of a body that was read before: nothing here is new, so nothing is wrong.
pub(in crate::llm) fn for_each_text<'a>(body: &'a str, each: impl FnMut(Cow<'a, str>)) {
    let mut texts = Texts(each);
    let read = Scanner::new(body).members(|scanner, name, _| {
        match Member::of(name) {
            Some(member) if member.is_prompt() => {
                scanner.value(&mut texts)?;
            }
            Some(member) if member.is_tools() => {
                let at = scanner.value(&mut ())?;
                (texts.0)(Cow::Borrowed(body.get(at).unwrap_or_default()));
            }
            _ => {
                scanner.value(&mut ())?;
            }
        }
        Ok::<_, Problem>(())
    });
    debug_assert!(read.is_ok(), "the body was read before");
}
