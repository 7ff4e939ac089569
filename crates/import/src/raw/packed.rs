//! Compressed files read as what they hold, with a limit on how far they may expand.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often larger than its packed form a file may become. Real traces expand 10 to 40 times.
pub const BOMB_RATIO: u64 = 250;
/// What a packed file may always expand to, whatever the ratio.
pub const BOMB_BYTES: u64 = 64 << 20;

/// How a file is packed, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
    Zip,
}

impl Packing {
    pub(super) fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // The second begins an archive that holds nothing.
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            _ => Self::None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Zip => "zip",
        }
    }

    /// The unpacked bytes of `file`; `read` counts the packed ones.
    pub(super) fn unpack(
        self,
        file: impl Read + Send + 'static,
        read: Arc<AtomicU64>,
    ) -> io::Result<Box<dyn Read + Send>> {
        let packed = Counting { inner: file, read: Arc::clone(&read) };
        let buffered = |packed| BufReader::with_capacity(1 << 18, packed);
        Ok(match self {
            Self::Gzip => Box::new(Limited::new(flate2::bufread::MultiGzDecoder::new(buffered(packed)), read)),
            Self::Zstd => Box::new(Limited::new(zstd::stream::read::Decoder::with_buffer(buffered(packed))?, read)),
            Self::None | Self::Zip => Box::new(packed),
        })
    }
}

/// Counts the bytes that are read.
struct Counting<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The file expands beyond the limit.
#[derive(Debug)]
pub(super) struct Bomb;

impl fmt::Display for Bomb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "it expands to more than {BOMB_RATIO} times its size, which no profiler's file does")
    }
}

impl std::error::Error for Bomb {}

/// Stops where the unpacked bytes outgrow the packed ones.
struct Limited<R> {
    inner: R,
    packed: Arc<AtomicU64>,
    unpacked: u64,
}

impl<R> Limited<R> {
    fn new(inner: R, packed: Arc<AtomicU64>) -> Self {
        Self { inner, packed, unpacked: 0 }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.unpacked += count as u64;
        check_ratio(self.packed.load(Ordering::Relaxed), self.unpacked)?;
        Ok(count)
    }
}

/// An error when `unpacked` bytes are too many for `packed` ones.
pub(super) fn check_ratio(packed: u64, unpacked: u64) -> io::Result<()> {
    let bomb = unpacked > BOMB_BYTES && unpacked / BOMB_RATIO > packed;
    if bomb { Err(io::Error::other(Bomb)) } else { Ok(()) }
}
