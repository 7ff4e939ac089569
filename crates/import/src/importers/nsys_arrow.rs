//! Nsight Systems exports in Arrow: a directory with one file a table (`nsys export --type=arrowdir`), or one file with
//! all of them (`--type=arrow`).

use crate::Error;
use crate::importers::{Importer, Session};
use crate::nsys::{self, Arrow};
use crate::raw::{Head, Import, Source};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "nsys_arrow",
    doc: "Arrow files from Nsight Systems (`nsys export --type=arrowdir` or `arrow`).",
    sniff,
    import,
};

fn sniff(head: &Head<'_>) -> bool {
    let stem = |name: &'_ str| name.strip_suffix(".arrow").or_else(|| name.strip_suffix(".arrows")).map(str::to_owned);
    let stems: Vec<String> = head.files.iter().filter_map(|name| stem(name)).collect();
    nsys::is_export(stems.iter().map(String::as_str)) || is_stream(head)
}

/// A file that begins with a stream whose schema names an nsys table.
fn is_stream(head: &Head<'_>) -> bool {
    const MOST: usize = 1 << 14;
    let begins = head.bytes.starts_with(&[0xff; 4]) || head.bytes.starts_with(b"ARROW1");
    let first = &head.bytes[..head.bytes.len().min(MOST)];
    begins && memchr::memmem::find(first, b"table_name").is_some()
}

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    import.sink.set_pass("nsys");
    let export = Arrow::open(source)?;
    if export.is_lone_table() {
        return Err(Error::Unsupported {
            path: source.path().to_owned(),
            reason: "is one table of an nsys Arrow export, which means nothing without the others".to_owned(),
            hint: "import the folder that holds it".to_owned(),
        });
    }
    nsys::import(&export, source, import)
}
