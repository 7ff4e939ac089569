//! The messages of Arrow streams: a schema, then batches, then an end; and again for the next table.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::flatbuffer::{Table, Vector, root};

const CONTINUATION: u32 = 0xffff_ffff;
/// A file of one table may begin with this, then a stream follows.
const FILE_MAGIC: &[u8; 6] = b"ARROW1";
/// Longer metadata is none.
const LONGEST_METADATA: u64 = 1 << 28;
/// Kinds of messages.
const SCHEMA: u8 = 1;
const DICTIONARY: u8 = 2;
const BATCH: u8 = 3;

/// One table's stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The name that nsys writes into the schema.
    pub(super) table: Option<String>,
    pub(super) fields: Vec<Field>,
    pub(super) batches: Vec<Batch>,
}

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Which of a batch's buffers is its first.
    pub(super) first_buffer: usize,
    /// Which of a batch's nodes is its own.
    pub(super) node: usize,
}

/// How a column's values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers of that many bytes, with a sign or without.
    Int(u8, bool),
    /// Floating-point numbers of 4 or 8 bytes.
    Float(u8),
    Bool,
    /// Text or bytes with offsets of 4 or 8 bytes.
    Text(u8),
    Null,
    /// Something that is not read, with its number of buffers.
    Other(usize),
}

impl Kind {
    /// Whether values of this kind are read.
    pub(super) fn is_read(self) -> bool {
        !matches!(self, Self::Null | Self::Other(_))
    }

    /// Buffers that a column of this kind has in a batch.
    fn buffers(self) -> usize {
        match self {
            Self::Int(..) | Self::Float(_) | Self::Bool => 2,
            Self::Text(_) => 3,
            Self::Null => 0,
            Self::Other(buffers) => buffers,
        }
    }
}

/// Rows of a table.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) rows: u64,
    /// Missing values of each column.
    pub(super) missing: Vec<i64>,
    /// Place in the file and length of each buffer.
    pub(super) buffers: Vec<(u64, u64)>,
    pub(super) compression: Compression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lz4,
    Zstd,
}

/// Something wrong at a place of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: u64,
    pub(super) reason: String,
}

/// Every stream of a file.
pub(super) fn streams(file: &File) -> Result<Vec<Stream>, Fault> {
    let length = file.metadata().map_or(0, |data| data.len());
    let mut streams: Vec<Stream> = Vec::new();
    let mut at = 0;
    let mut magic = [0; 8];
    let one_table = file.read_exact_at(&mut magic, 0).is_ok() && magic.starts_with(FILE_MAGIC);
    if one_table {
        at = 8;
    }
    while at < length {
        let fault = |reason: &str| Fault { at, reason: reason.to_owned() };
        let Some((metadata, body)) = metadata(file, at, length).map_err(|reason| fault(&reason))? else {
            // The end of a stream; in a file of one table its footer follows, which repeats what has been read.
            if one_table {
                return Ok(streams);
            }
            at += 8;
            continue;
        };
        let message = root(&metadata).ok_or_else(|| fault("its metadata is damaged"))?;
        let body_bytes = u64::try_from(message.i64(3)).map_err(|_| fault("a message has a negative length"))?;
        let end = body.checked_add(body_bytes).filter(|end| *end <= length).ok_or_else(|| fault("it is cut short"))?;
        let header = message.table(2).ok_or_else(|| fault("its metadata is damaged"))?;
        match message.byte(1) {
            SCHEMA => streams.push(schema(&header).ok_or_else(|| fault("its columns are nested too deeply"))?),
            BATCH => {
                let stream = streams.last_mut().ok_or_else(|| fault("rows come before their columns"))?;
                let batch = batch(&header, body, end).ok_or_else(|| fault("a batch's metadata is damaged"))?;
                stream.batches.push(batch);
            }
            DICTIONARY => return Err(fault("its texts are numbered in dictionaries, which is not read")),
            _ => {}
        }
        at = end;
    }
    Ok(streams)
}

/// The metadata of the message at `at` and where its body begins; `None` at the end of a stream.
fn metadata(file: &File, at: u64, length: u64) -> Result<Option<(Vec<u8>, u64)>, String> {
    let cut = |_| "it is cut short".to_owned();
    let mut word = [0; 4];
    file.read_exact_at(&mut word, at).map_err(cut)?;
    let mut from = at + 4;
    // Before version 0.15 of the format the length came first.
    if u32::from_le_bytes(word) == CONTINUATION {
        file.read_exact_at(&mut word, from).map_err(cut)?;
        from += 4;
    }
    let bytes = u64::from(u32::from_le_bytes(word));
    if bytes == 0 {
        return Ok(None);
    }
    if bytes > LONGEST_METADATA || from + bytes > length {
        return Err("it is cut short, or no Arrow stream begins here".to_owned());
    }
    let mut metadata = vec![0; bytes as usize];
    file.read_exact_at(&mut metadata, from).map_err(cut)?;
    Ok(Some((metadata, from + bytes)))
}

fn schema(header: &Table<'_>) -> Option<Stream> {
    let mut stream = Stream::default();
    let pairs = header.vector(2).into_iter().flat_map(Vector::tables);
    stream.table =
        pairs.filter(|pair| pair.text(0) == Some("table_name")).find_map(|pair| pair.text(1).map(str::to_owned));
    let (mut first_buffer, mut node, mut counted) = (0, 0, 0);
    for field in header.vector(1).into_iter().flat_map(Vector::tables) {
        let (buffers, nodes) = size(&field, 0, &mut counted)?;
        let name = field.text(0).unwrap_or_default().to_owned();
        stream.fields.push(Field { name, kind: kind(&field), first_buffer, node });
        first_buffer += buffers;
        node += nodes;
    }
    Some(stream)
}

/// Deepest nesting of columns, and most of them, that a schema may have.
const DEEPEST: usize = 16;
const MOST_FIELDS: usize = 10_000;

fn kind(field: &Table<'_>) -> Kind {
    let declared = field.table(3);
    let bits = |table: &Table<'_>| (table.i32(0) / 8) as u8;
    match (field.byte(2), declared) {
        (1, _) => Kind::Null,
        (2, Some(int)) if matches!(int.i32(0), 8 | 16 | 32 | 64) => Kind::Int(bits(&int), int.byte(1) != 0),
        (3, float) if float.is_some_and(|float| float.i16(0) == 2) => Kind::Float(8),
        (3, float) if float.is_some_and(|float| float.i16(0) == 1) => Kind::Float(4),
        (4 | 5, _) => Kind::Text(4),
        (6, _) => Kind::Bool,
        // Times, durations: whole numbers of 64 bits unless stated otherwise.
        (10 | 18, _) => Kind::Int(8, true),
        (20 | 19, _) => Kind::Text(8),
        // A structure or a list of fixed length has only validity; lists, maps and what is left have a buffer more.
        (13 | 16, _) => Kind::Other(1),
        _ => Kind::Other(2),
    }
}

/// Buffers and nodes that a column has in a batch, those of its parts included; `None` where it has too many parts.
fn size(field: &Table<'_>, depth: usize, counted: &mut usize) -> Option<(usize, usize)> {
    *counted += 1;
    if depth > DEEPEST || *counted > MOST_FIELDS {
        return None;
    }
    let (mut buffers, mut nodes) = (kind(field).buffers(), 1);
    for part in field.vector(5).into_iter().flat_map(Vector::tables) {
        let part = size(&part, depth + 1, counted)?;
        buffers += part.0;
        nodes += part.1;
    }
    Some((buffers, nodes))
}

fn batch(header: &Table<'_>, body: u64, end: u64) -> Option<Batch> {
    let rows = u64::try_from(header.i64(0)).ok()?;
    let missing = header.vector(1)?.pairs()?.into_iter().map(|(_, missing)| missing).collect();
    let buffers = header.vector(2)?.pairs()?.into_iter().map(|(offset, length)| {
        let (offset, length) = (u64::try_from(offset).ok()?, u64::try_from(length).ok()?);
        let at = body.checked_add(offset)?;
        (at.checked_add(length)? <= end).then_some((at, length))
    });
    let compression = match header.table(3) {
        None => Compression::None,
        Some(compressed) if compressed.byte(0) == 0 => Compression::Lz4,
        Some(_) => Compression::Zstd,
    };
    Some(Batch { rows, missing, buffers: buffers.collect::<Option<_>>()?, compression })
}
