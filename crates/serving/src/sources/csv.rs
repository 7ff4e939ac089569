//! CSV with a header: the generic columns, and Azure's traces, whose names are among them.

use std::io::ErrorKind;

use csv::{ByteRecord, ReaderBuilder};

use super::builder::Builder;
use super::columns::{self, Field};
use super::lines::Input;
use super::read::{CUT, DAMAGED, Error, RAGGED, Read, Reason, shown};
use super::row::Row;

/// Reads a trace.
pub(super) fn read(name: &str, input: Input<'_>) -> Result<Read, Error> {
    let io = |error: csv::Error| Error::Io { name: name.to_owned(), cause: error.into() };
    let late = returns(&input.head);
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(input.all);
    let header = reader.byte_headers().map_err(io)?.clone();
    let names: Vec<String> = header.iter().map(|name| shown(String::from_utf8_lossy(name).trim())).collect();
    let layout = layout(name, &names)?;
    let mut builder = Builder::new(name);
    let unknown = names.iter().zip(&layout).filter(|(_, field)| field.is_none());
    builder.unknown(&unknown.map(|(name, _)| name.clone()).collect::<Vec<_>>());
    let (mut record, mut short) = (ByteRecord::new(), None);
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => match error.kind() {
                csv::ErrorKind::Io(cause) if cause.kind() == ErrorKind::UnexpectedEof => break,
                _ => return Err(io(error)),
            },
        }
        if let Some(line) = short.take() {
            builder.left_out(&RAGGED, line);
        }
        let line = record.position().map_or(0, csv::Position::line) + late;
        if record.len() < layout.len() {
            short = Some(line);
        } else {
            match row(&record, &layout) {
                Ok(row) => builder.take(&row, line),
                Err(reason) => builder.left_out(reason, line),
            }
        }
    }
    // Only the last row of a file whose writing was cut lacks its end.
    if let Some(line) = short {
        builder.left_out(&CUT, line);
    }
    builder.finish()
}

/// 1 where lines end with a carriage return: the reader takes the line feed behind it for the next line's.
fn returns(head: &[u8]) -> u64 {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    u64::from(line.len() < head.len() && line.ends_with(b"\r"))
}

/// Whether a column is one that is looked for.
type Says = fn(Field) -> bool;

/// What each column says; an arrival and both lengths must be among them, each once.
fn layout(name: &str, names: &[String]) -> Result<Vec<Option<Field>>, Error> {
    let layout: Vec<Option<Field>> = names.iter().map(|name| columns::field(name)).collect();
    let unknown = |what| Err(Error::Unknown { name: name.to_owned(), what });
    let wanted: [(&str, Says); 3] = [
        ("an arrival with its unit, like arrival_ms", |field| matches!(field, Field::Arrival(_) | Field::ArrivalDate)),
        ("prompt_tokens", |field| field == Field::Prompt),
        ("output_tokens", |field| field == Field::Output),
    ];
    for (what, says) in wanted {
        let found: Vec<&str> = names
            .iter()
            .zip(&layout)
            .filter(|(_, field)| field.is_some_and(says))
            .map(|(name, _)| name.as_str())
            .collect();
        match found[..] {
            [] => return unknown(format!("none of its columns ({}) is {what}", listed(names))),
            [_] => {}
            [first, second, ..] => return unknown(format!("its columns {first} and {second} say the same, keep one")),
        }
    }
    Ok(layout)
}

fn listed(names: &[String]) -> String {
    let text = names.join(", ");
    if text.chars().count() > 200 { text.chars().take(200).chain("...".chars()).collect() } else { text }
}

fn row(record: &ByteRecord, layout: &[Option<Field>]) -> Result<Row, &'static Reason> {
    if record.len() > layout.len() {
        return Err(&RAGGED);
    }
    let mut row = Row::default();
    for (bytes, field) in record.iter().zip(layout) {
        if let Some(field) = field {
            row.set(*field, std::str::from_utf8(bytes).map_err(|_| &DAMAGED)?)?;
        }
    }
    Ok(row)
}
