use super::FailureKind;

/// A set of kinds of failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u16);

const _: () = assert!(FailureKind::ALL.len() <= u16::BITS as usize);

impl Kinds {
    /// Every kind.
    pub(crate) const ALL: Self = Self(u16::MAX);

    pub(crate) const fn contains(self, kind: FailureKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    pub(crate) const fn insert(&mut self, kind: FailureKind) {
        self.0 |= Self::bit(kind);
    }

    pub(crate) const fn remove(&mut self, kind: FailureKind) {
        self.0 &= !Self::bit(kind);
    }

    const fn bit(kind: FailureKind) -> u16 {
        1 << kind as u16
    }
}

impl FromIterator<FailureKind> for Kinds {
    fn from_iter<I: IntoIterator<Item = FailureKind>>(kinds: I) -> Self {
        let mut all = Self::default();
        kinds.into_iter().for_each(|kind| all.insert(kind));
        all
    }
}

impl std::ops::BitOrAssign for Kinds {
    fn bitor_assign(&mut self, others: Self) {
        self.0 |= others.0;
    }
}
