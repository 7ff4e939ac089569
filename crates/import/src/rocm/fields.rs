//! Values as rocprofiler-sdk's serialiser writes them, read from a JSON cursor.

use crate::raw::json::{Cursor, Fault, Kind, float, integer};

/// Runs `each` on the members of the object that comes next. `each` passes the value of the key and says so; a value that
/// it leaves is passed, as is a value that is no object.
pub(crate) fn object<'a>(
    cursor: &mut Cursor<'a>,
    mut each: impl FnMut(&[u8], &mut Cursor<'a>) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    cursor.members(|key, cursor| if each(key, cursor)? { Ok(()) } else { cursor.skip() })
}

/// An integer; `None` for any other value. A number beyond `i64`, as handles may be, keeps its 64 bits.
#[inline]
pub(crate) fn int(cursor: &mut Cursor<'_>) -> Result<Option<i64>, Fault> {
    if cursor.kind()? != Kind::Scalar {
        cursor.skip()?;
        return Ok(None);
    }
    let text = cursor.scalar()?;
    Ok(integer(text).or_else(|| std::str::from_utf8(text).ok()?.parse::<u64>().ok().map(|bits| bits as i64)))
}

/// A time: as [`int`], but one beyond `i64` is none.
#[inline]
pub(crate) fn time(cursor: &mut Cursor<'_>) -> Result<Option<i64>, Fault> {
    if cursor.kind()? != Kind::Scalar {
        cursor.skip()?;
        return Ok(None);
    }
    Ok(integer(cursor.scalar()?))
}

/// A finite number; `None` for any other value.
pub(crate) fn number(cursor: &mut Cursor<'_>) -> Result<Option<f64>, Fault> {
    if cursor.kind()? != Kind::Scalar {
        cursor.skip()?;
        return Ok(None);
    }
    Ok(float(cursor.scalar()?))
}

/// An identifier, `{"handle": 3}` or the number alone.
#[inline]
pub(crate) fn handle(cursor: &mut Cursor<'_>) -> Result<Option<i64>, Fault> {
    member(cursor, b"handle")
}

/// One integer member of the object that comes next, or the number that stands in its place.
#[inline]
pub(crate) fn member(cursor: &mut Cursor<'_>, name: &[u8]) -> Result<Option<i64>, Fault> {
    if cursor.kind()? != Kind::Object {
        return int(cursor);
    }
    let mut value = None;
    object(cursor, |key, cursor| {
        if key != name {
            return Ok(false);
        }
        value = int(cursor)?;
        Ok(true)
    })?;
    Ok(value)
}

/// What `read` makes of the elements of the array that comes next.
pub(crate) fn list<'a, T>(
    cursor: &mut Cursor<'a>,
    mut read: impl FnMut(&mut Cursor<'a>) -> Result<Option<T>, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut list = Vec::new();
    cursor.items(|cursor| {
        list.extend(read(cursor)?);
        Ok(())
    })?;
    Ok(list)
}

/// A string; `None` for any other value and for an empty one.
pub(crate) fn text(cursor: &mut Cursor<'_>) -> Result<Option<Box<str>>, Fault> {
    if cursor.kind()? != Kind::Text {
        cursor.skip()?;
        return Ok(None);
    }
    let mut scratch = String::new();
    let text = cursor.text()?.read(&mut scratch)?;
    Ok((!text.is_empty()).then(|| text.into()))
}

/// The members x, y and z of a size.
pub(crate) fn size(cursor: &mut Cursor<'_>) -> Result<[Option<i64>; 3], Fault> {
    let mut size = [None; 3];
    object(cursor, |key, cursor| {
        let Some(axis) = [b"x", b"y", b"z"].iter().position(|axis| *axis == key) else { return Ok(false) };
        size[axis] = int(cursor)?;
        Ok(true)
    })?;
    Ok(size)
}
