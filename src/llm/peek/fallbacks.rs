//! The groups that a body names to fall back to.

use std::collections::HashMap;

use super::{LONGEST, Literal, Member, Problem, Reader, Scanner, TOO_LONG, TWICE, is, wrong_type};
use crate::trail::GroupName;

const FORMS: &str = concat!(
    r#"expected a list of model names, each a string or {"model": name} without other members, "#,
    "or a list of {name of the failing model: [names]}, not a mix of the two",
);

/// The groups that a body names to fall back to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::llm) enum NamedFallbacks {
    /// Of this request.
    Own(Vec<GroupName>),
    /// Of requests for each of these models, as a router's settings have them.
    ByModel(HashMap<String, Vec<GroupName>>),
}

impl NamedFallbacks {
    /// The groups for a request for `model`: in lists by model those of its own, or else those of `*`.
    pub(in crate::llm) fn of(self, model: &str) -> Vec<GroupName> {
        match self {
            Self::Own(groups) => groups,
            Self::ByModel(mut lists) => {
                lists.remove(model).or_else(|| lists.remove("*")).unwrap_or_default()
            }
        }
    }
}

/// What the elements of the list read so far name: of one of the two nothing.
#[derive(Default)]
struct Lists {
    own: Vec<GroupName>,
    by_model: HashMap<String, Vec<GroupName>>,
}

impl<'a> Reader<'a> {
    /// Reads the value of `fallbacks`; none where it is `null`.
    pub(super) fn fallbacks(
        &self,
        scanner: &mut Scanner<'a>,
    ) -> Result<Option<NamedFallbacks>, Problem> {
        match scanner.peek() {
            Some(b'[') => {}
            Some(b'n') => return Ok(scanner.value(&mut ()).map(|_| None)?),
            _ => return wrong_type(scanner, Member::Fallbacks, FORMS),
        }
        let mut lists = Lists::default();
        let (start, mut index) = (scanner.at(), 0);
        scanner.elements(|scanner| {
            self.fallback(scanner, &format!("fallbacks[{index}]"), &mut lists)?;
            index += 1;
            if scanner.at() - start > LONGEST {
                return Err(Problem::member("fallbacks", TOO_LONG));
            }
            Ok::<_, Problem>(())
        })?;
        let Lists { own, by_model } = lists;
        Ok(Some(if by_model.is_empty() {
            NamedFallbacks::Own(own)
        } else {
            NamedFallbacks::ByModel(by_model)
        }))
    }

    /// Reads an element, which stands at `place`, into `lists`.
    fn fallback(
        &self,
        scanner: &mut Scanner<'a>,
        place: &str,
        lists: &mut Lists,
    ) -> Result<(), Problem> {
        let before = (lists.own.len(), lists.by_model.len());
        match scanner.peek() {
            Some(b'"') => self.own_fallback(scanner, place, lists)?,
            Some(b'{') => scanner.members(|scanner, name, _| match scanner.peek() {
                Some(b'"') if is(name, "model") => self.own_fallback(scanner, place, lists),
                Some(b'[') => self.fallbacks_of(scanner, place, name, lists),
                _ => {
                    scanner.value(&mut ())?;
                    Err(Problem::member(place, FORMS))
                }
            })?,
            _ => {
                scanner.value(&mut ())?;
            }
        }
        match (lists.own.len() - before.0, lists.by_model.len() - before.1) {
            (1, 0) if lists.by_model.is_empty() => Ok(()),
            (0, 1..) if lists.own.is_empty() => Ok(()),
            _ => Err(Problem::member(place, FORMS)),
        }
    }

    fn own_fallback(
        &self,
        scanner: &mut Scanner<'a>,
        place: &str,
        lists: &mut Lists,
    ) -> Result<(), Problem> {
        lists.own.extend(self.typed::<String>(scanner, place, FORMS)?.map(GroupName::new));
        Ok(())
    }

    fn fallbacks_of(
        &self,
        scanner: &mut Scanner<'a>,
        place: &str,
        model: Literal<'a>,
        lists: &mut Lists,
    ) -> Result<(), Problem> {
        let names: Vec<String> = self.typed(scanner, place, FORMS)?.unwrap_or_default();
        let model = model.text().ok_or_else(|| Problem::member(place, FORMS))?;
        let groups = names.into_iter().map(GroupName::new).collect();
        match lists.by_model.insert(model.to_string(), groups) {
            None => Ok(()),
            Some(_) => Err(Problem::member(format!("{place}.{model}"), TWICE)),
        }
    }
}
