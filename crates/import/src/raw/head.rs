//! The beginning of a raw file, by which importers recognise it.

use std::fmt::Write;

/// How much of a file importers may look at to recognise it.
pub const HEAD_BYTES: u64 = 256 * 1024;

/// What importers see of a file or directory before they claim it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// The file's name without the ending of its packing. Content decides, not endings.
    pub name: &'a str,
    /// The first [`HEAD_BYTES`] after unpacking; empty for a directory.
    pub bytes: &'a [u8],
    /// Names of the files in the directory, sorted; empty for a file.
    pub files: &'a [String],
    /// Names of the tables and views, where the file is a SQLite database.
    pub sqlite: &'a [String],
}

impl Head<'_> {
    /// The bytes as text without a byte-order mark, up to the first that is not UTF-8.
    pub fn text(&self) -> &str {
        let bytes = self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(self.bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        }
    }

    /// One sentence about what the file looks like, for a message.
    pub fn looks(&self) -> String {
        if !self.files.is_empty() {
            return format!("it looks like a directory of {} files", self.files.len());
        }
        if self.bytes.starts_with(b"SQLite format 3\0") {
            let some = self.sqlite.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            return format!("it looks like a SQLite database with {} tables ({some} ...)", self.sqlite.len());
        }
        let magics: &[(&[u8], &str)] = &[
            (b"\x7fELF", "a program"),
            (b"PAR1", "a Parquet file"),
            (b"ARROW1", "an Arrow file"),
            (b"%PDF", "a PDF"),
            (b"\x89PNG", "a picture"),
            (b"BZh", "a bzip2 file; unpack it first"),
            (b"\xfd7zXZ", "an xz file; unpack it first"),
            (b"7z\xbc\xaf", "a 7z file; unpack it first"),
            (b"<", "HTML or XML, perhaps a page saved in place of the file"),
        ];
        if let Some((_, what)) = magics.iter().find(|(magic, _)| self.bytes.starts_with(magic)) {
            return format!("it looks like {what}");
        }
        if self.bytes.get(257..262) == Some(b"ustar") {
            return "it looks like a tar archive; unpack it first".to_owned();
        }
        let text = self.text();
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        if text.len() * 2 < self.bytes.len() || first.contains('\0') {
            let mut magic = String::new();
            for byte in self.bytes.iter().take(8) {
                let _ = write!(magic, "{byte:02x} ");
            }
            return format!("it looks like binary data beginning with {}", magic.trim_end());
        }
        // Words rather than lines: the first line of a JSON file is often a lone bracket.
        let start: String = text.trim_start().chars().take(200).collect();
        let short: String = start.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(60).collect();
        format!("it looks like text beginning with {short:?}")
    }
}
