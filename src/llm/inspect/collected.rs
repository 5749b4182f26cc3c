use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes as they came: one chunk is kept as it is, several are copied together once.
///
/// They must lie side by side for the rest to be read and sent again as slices of one memory.
#[derive(Default)]
pub(super) struct Collected {
    first: Bytes,
    all: BytesMut,
}

impl Collected {
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    /// Adds `data`, after which `announced` bytes are to come.
    pub(super) fn push(&mut self, mut data: impl Buf, announced: usize) {
        if self.len() == 0 {
            self.first = data.copy_to_bytes(data.remaining());
            return;
        }
        if self.all.is_empty() {
            // Where the length is known it is reserved at once, so that nothing is moved again.
            self.all.reserve(self.first.len() + data.remaining() + announced);
            self.all.put(std::mem::take(&mut self.first));
        }
        self.all.put(data);
    }

    /// Where in memory the bytes are.
    #[cfg(test)]
    pub(super) fn begins_at(&self) -> *const u8 {
        if self.all.is_empty() { self.first.as_ptr() } else { self.all.as_ptr() }
    }

    pub(super) fn finish(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}
