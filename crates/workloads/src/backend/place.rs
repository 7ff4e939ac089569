//! Where a buffer is, and which part of a matrix.

/// Where a buffer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Values in it.
    pub(crate) values: usize,
    /// The device whose memory holds it; none: every memory.
    pub(crate) device: Option<usize>,
    /// Whether it is columns of a larger matrix, which its other columns share: products then read several buffers side
    /// by side without a copy.
    pub(crate) part: Option<Matrix>,
}

/// Columns of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matrix {
    /// Which matrix of the device: the same for all its columns.
    pub(crate) id: (usize, usize, usize),
    /// Columns of the whole matrix.
    pub(crate) width: usize,
    /// The first column of this part.
    pub(crate) first: usize,
    /// Columns of this part.
    pub(crate) columns: usize,
}

/// Columns of a layer that a device multiplies with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) device: usize,
    pub(crate) first: usize,
    pub(crate) columns: usize,
}
