//! Steps through the stream of a JSON file, with messages that say where it is wrong.

use std::io::Read;

use crate::Error;
use crate::raw::Source;
use crate::raw::json::{Cursor, Failure, Fault, Kind, Stop, Stream};

const HINT: &str = "capture again, or copy the file again; nothing was taken from it";

/// [`Cursor::kind`] for a cursor of any window, which the method's path alone is not.
pub(super) fn kind(cursor: &mut Cursor<'_>) -> Result<Kind, Fault> {
    cursor.kind()
}

/// [`Cursor::array`], as [`kind`].
pub(super) fn array(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    cursor.array()
}

/// [`Cursor::skip`], as [`kind`].
pub(super) fn pass(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    cursor.skip()
}

fn object(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    cursor.object()
}

/// What is wrong with the file.
pub(super) fn failed(source: &Source, failure: Failure) -> Error {
    match failure {
        Failure::Json { offset, fault } => source.damaged(format!("byte {offset}"), fault, HINT),
        Failure::Large { offset } => source.damaged(format!("byte {offset}"), "one record is larger than 64 MiB", HINT),
        Failure::Io(cause) => source.io(cause),
    }
}

/// Runs `each` on the members of the object that comes next; it passes the value of the key.
pub(super) fn members<R: Read>(
    source: &Source,
    stream: &mut Stream<R>,
    mut each: impl FnMut(&mut Stream<R>, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut first, mut key) = (true, String::new());
    stream.parse(object).map_err(|failure| failed(source, failure))?;
    while stream.key(&mut first, &mut key).map_err(|failure| failed(source, failure))? {
        each(stream, &key)?;
    }
    Ok(())
}

/// Runs `each` on what `read` makes of the elements of the array that comes next, with their numbers from 1. A value
/// that is no array is skipped.
pub(super) fn elements<R: Read, T>(
    source: &Source,
    stream: &mut Stream<R>,
    name: &str,
    read: impl Fn(&mut Cursor<'_>) -> Result<T, Fault>,
    mut each: impl FnMut(T, u64) -> Result<(), Error>,
) -> Result<u64, Error> {
    if stream.parse(kind).map_err(|failure| failed(source, failure))? != Kind::Array {
        return skip(source, stream).map(|()| 0);
    }
    let passed = stream.elements(|cursor, place| {
        let value = read(cursor)?;
        each(value, place.number).map_err(Stop::Other)
    });
    passed.map_err(|(number, stop)| match stop {
        Stop::Other(error) => error,
        Stop::Failure(Failure::Json { offset, fault }) => {
            source.damaged(format!("byte {offset}, in record {number} of {name}"), fault, HINT)
        }
        Stop::Failure(failure) => failed(source, failure),
        Stop::Fault(fault) => source.damaged(format!("record {number} of {name}"), fault, HINT),
    })
}

/// Passes a value.
pub(super) fn skip<R: Read>(source: &Source, stream: &mut Stream<R>) -> Result<(), Error> {
    stream.skip().map_err(|failure| failed(source, failure))
}

/// What `read` makes of the elements of the array that comes next.
pub(super) fn collect<R: Read, T>(
    source: &Source,
    stream: &mut Stream<R>,
    name: &str,
    read: impl Fn(&mut Cursor<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Error> {
    let mut list = Vec::new();
    elements(source, stream, name, read, |value, _| {
        list.push(value);
        Ok(())
    })?;
    Ok(list)
}
