//! FlatBuffers, as far as reading Arrow's metadata needs them: tables, vectors, strings. Every offset is checked.

/// A table in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A vector in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vector<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Number of elements.
    pub(super) length: usize,
}

fn read<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    read(bytes, at).map(|bytes| u32::from_le_bytes(bytes) as usize)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    read(bytes, at).map(|bytes| usize::from(u16::from_le_bytes(bytes)))
}

/// The place that an offset stored at `at` points to.
fn follow(bytes: &[u8], at: usize) -> Option<usize> {
    at.checked_add(u32_at(bytes, at)?).filter(|target| *target < bytes.len())
}

/// The table that a buffer begins with.
pub(super) fn root(bytes: &[u8]) -> Option<Table<'_>> {
    Some(Table { bytes, at: follow(bytes, 0)? })
}

impl<'a> Table<'a> {
    /// Where a field lies; `None` where it has its default.
    fn field(&self, index: usize) -> Option<usize> {
        let back = i32::from_le_bytes(read(self.bytes, self.at)?);
        let vtable = usize::try_from(i64::try_from(self.at).ok()? - i64::from(back)).ok()?;
        let entry = 4 + 2 * index;
        if entry + 2 > u16_at(self.bytes, vtable)? {
            return None;
        }
        match u16_at(self.bytes, vtable.checked_add(entry)?)? {
            0 => None,
            offset => Some(self.at + offset),
        }
    }

    pub(super) fn byte(&self, index: usize) -> u8 {
        self.field(index).and_then(|at| self.bytes.get(at)).copied().unwrap_or(0)
    }

    pub(super) fn i16(&self, index: usize) -> i16 {
        self.field(index).and_then(|at| read(self.bytes, at)).map_or(0, i16::from_le_bytes)
    }

    pub(super) fn i32(&self, index: usize) -> i32 {
        self.field(index).and_then(|at| read(self.bytes, at)).map_or(0, i32::from_le_bytes)
    }

    pub(super) fn i64(&self, index: usize) -> i64 {
        self.field(index).and_then(|at| read(self.bytes, at)).map_or(0, i64::from_le_bytes)
    }

    pub(super) fn table(&self, index: usize) -> Option<Table<'a>> {
        Some(Table { bytes: self.bytes, at: follow(self.bytes, self.field(index)?)? })
    }

    pub(super) fn vector(&self, index: usize) -> Option<Vector<'a>> {
        let at = follow(self.bytes, self.field(index)?)?;
        Some(Vector { bytes: self.bytes, at: at + 4, length: u32_at(self.bytes, at)? })
    }

    pub(super) fn text(&self, index: usize) -> Option<&'a str> {
        let Vector { bytes, at, length } = self.vector(index)?;
        std::str::from_utf8(bytes.get(at..at.checked_add(length)?)?).ok()
    }
}

impl<'a> Vector<'a> {
    /// The tables that the vector's elements point to.
    pub(super) fn tables(self) -> impl Iterator<Item = Table<'a>> {
        let most = self.bytes.len().saturating_sub(self.at) / 4;
        let place = move |index: usize| follow(self.bytes, self.at + 4 * index);
        (0..self.length.min(most)).filter_map(move |index| Some(Table { bytes: self.bytes, at: place(index)? }))
    }

    /// The vector's elements where each is a structure of two 64-bit numbers.
    pub(super) fn pairs(self) -> Option<Vec<(i64, i64)>> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(self.length.checked_mul(16)?)?)?;
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, i64::from_le_bytes);
        Some(bytes.chunks_exact(16).map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect())
    }
}
