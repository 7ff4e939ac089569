//! One trace event, borrowed from the window.

use crate::raw::json::{self, Checked, Cursor, Fault, Kind};

/// The members of one event that importing needs. Numbers are kept as the characters in the file; a member that is
/// absent is empty. Where a key stands twice, the last one counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Event<'a> {
    /// `ph`: `X`, `B`, `E`, `i`, ...; 0 where it is absent.
    pub(crate) phase: u8,
    /// `cat`.
    pub(crate) category: &'a [u8],
    /// `name`.
    pub(crate) name: Checked<'a>,
    /// `pid`: a process; the device for what a device did; sometimes a word.
    pub(crate) pid: &'a [u8],
    /// `tid`: a thread; the stream for what a device did; sometimes a word.
    pub(crate) tid: &'a [u8],
    /// `ts`, microseconds.
    pub(crate) ts: &'a [u8],
    /// `dur`, microseconds.
    pub(crate) dur: &'a [u8],
    /// `args`, as JSON.
    pub(crate) raw_args: &'a [u8],
    /// The members of `args` that have a column.
    pub(crate) args: Args<'a>,
}

macro_rules! args {
    ($($(#[$doc:meta])* $field:ident: $($key:literal)|+,)*) => {
        /// Values of `args`, each as JSON: a string with its quotes. Empty where absent.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct Args<'a> {
            $($(#[$doc])* pub(crate) $field: &'a [u8],)*
        }

        impl<'a> Args<'a> {
            #[inline]
            fn slot(&mut self, key: &[u8]) -> Option<&mut &'a [u8]> {
                match key {
                    $($($key)|+ => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }
    };
}

args! {
    /// Number of the framework operator that caused it.
    external_id: b"External id" | b"external id",
    /// Number that a launch and what it launched share.
    correlation: b"correlation",
    device: b"device",
    /// Of a peer copy.
    in_device: b"inDevice",
    from_device: b"fromDevice",
    to_device: b"toDevice",
    context: b"context",
    stream: b"stream",
    priority: b"priority",
    grid: b"grid",
    block: b"block",
    registers: b"registers per thread",
    shared: b"shared memory",
    bytes: b"bytes",
    /// Direction of a copy, in traces of AMD devices.
    kind: b"kind",
    graph: b"graph id",
    graph_node: b"graph node id",
    dims: b"Input Dims" | b"Input dims",
    types: b"Input type" | b"Input types",
    concrete: b"Concrete Inputs",
    collective: b"Collective name",
    in_elements: b"In msg nelems",
    out_elements: b"Out msg nelems",
    dtype: b"dtype",
    group: b"Process Group Name",
    group_size: b"Group size",
    sequence: b"Seq",
    source_rank: b"Src Rank",
    target_rank: b"Dst Rank",
    memory_device: b"Device Id",
    memory_device_type: b"Device Type",
    memory_allocated: b"Total Allocated",
    memory_reserved: b"Total Reserved",
}

/// What is known after one event was passed.
#[expect(
    clippy::large_enum_variant,
    reason = "one lives at a time, on the stack; a box would be an allocation an event"
)]
pub(crate) enum Passed<'a> {
    /// An event.
    Event(Event<'a>),
    /// A flow arrow (`s`, `t`, `f`) or metadata (`M`): nothing else of it is read.
    Aside(u8),
    /// No object.
    Foreign,
}

impl<'a> Event<'a> {
    /// Passes the event at the cursor.
    ///
    /// # Errors
    /// What the file says; [`Fault::Short`] when the window ends first.
    #[inline]
    pub(crate) fn pass(cursor: &mut Cursor<'a>) -> Result<Passed<'a>, Fault> {
        if cursor.kind()? != Kind::Object {
            cursor.skip()?;
            return Ok(Passed::Foreign);
        }
        let (mut event, mut first) = (Self::default(), true);
        cursor.object()?;
        while let Some(key) = cursor.key(&mut first)? {
            match key.raw() {
                b"ph" => {
                    event.phase = cursor.characters()?.first().copied().unwrap_or(0);
                    if matches!(event.phase, b's' | b't' | b'f' | b'M') {
                        cursor.leave_object()?;
                        return Ok(Passed::Aside(event.phase));
                    }
                }
                b"cat" => event.category = cursor.characters()?,
                b"name" if cursor.kind()? == Kind::Text => event.name = cursor.checked()?,
                b"pid" => event.pid = cursor.characters()?,
                b"tid" => event.tid = cursor.characters()?,
                b"ts" => event.ts = cursor.characters()?,
                b"dur" => event.dur = cursor.characters()?,
                b"args" => event.args(cursor)?,
                _ => cursor.skip()?,
            }
        }
        Ok(Passed::Event(event))
    }

    fn args(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        self.args = Args::default();
        if cursor.kind()? != Kind::Object {
            return cursor.skip();
        }
        let (start, mut first) = (cursor.at(), true);
        cursor.object()?;
        while let Some(key) = cursor.key(&mut first)? {
            match self.args.slot(key.raw()) {
                Some(slot) => *slot = cursor.value()?,
                None => cursor.skip()?,
            }
        }
        self.raw_args = cursor.since(start);
        Ok(())
    }
}

/// The integer that a value holds, be it a number or a string of digits.
#[inline]
pub(crate) fn integer(value: &[u8]) -> Option<i64> {
    let digits = if let [b'"', digits @ .., b'"'] = value { digits } else { value };
    if digits.is_empty() { None } else { json::integer(digits) }
}

/// The first three integers of an array.
pub(crate) fn triple(value: &[u8]) -> [Option<i64>; 3] {
    let mut triple = [None; 3];
    let (mut cursor, mut first) = (Cursor::new(value), true);
    if cursor.array().is_ok() {
        for slot in &mut triple {
            if cursor.element(&mut first) != Ok(true) {
                break;
            }
            *slot = cursor.characters().ok().and_then(json::integer);
        }
    }
    triple
}

/// The characters of a value that is a string, and those of a number; `None` for anything else.
///
/// # Errors
/// A string that is not UTF-8, or has an escape that does not exist.
pub(crate) fn text<'s>(value: &'s [u8], scratch: &'s mut String) -> Result<Option<&'s str>, Fault> {
    let mut cursor = Cursor::new(value);
    match cursor.kind() {
        Ok(Kind::Text) => cursor.text()?.read(scratch).map(Some),
        Ok(Kind::Scalar) if value != b"null" => str::from_utf8(value).map(Some).map_err(|_| Fault::Utf8),
        _ => Ok(None),
    }
}

/// A value as JSON without white space between its parts; `None` for an absent one.
///
/// # Errors
/// A string that is not UTF-8.
pub(crate) fn compact<'s>(value: &[u8], scratch: &'s mut Vec<u8>) -> Result<Option<&'s str>, Fault> {
    scratch.clear();
    let (mut quoted, mut escaped) = (false, false);
    for &byte in value {
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            continue;
        } else {
            quoted = byte == b'"';
        }
        scratch.push(byte);
    }
    let text = str::from_utf8(scratch).map_err(|_| Fault::Utf8)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(json: &str) -> Passed<'_> {
        Event::pass(&mut Cursor::new(json.as_bytes())).unwrap()
    }

    #[test]
    fn members_are_found_in_any_order_and_the_last_of_two_counts() {
        let json = r#"{"args":{"stream":7,"x":[{}],"grid":[1,2,3],"correlation":"12","stream":8},"ts":1.5,"cat":"kernel","ph":"X",
            "name":"a\"b","pid":0,"tid":"w","dur":2,"ts":3.25,"other":{"ts":4}}"#;
        let Passed::Event(event) = pass(json) else { panic!("an event") };
        assert_eq!((event.phase, event.category, event.ts, event.dur), (b'X', &b"kernel"[..], &b"3.25"[..], &b"2"[..]));
        assert_eq!((event.pid, event.tid), (&b"0"[..], &b"w"[..]));
        assert_eq!(event.name.read(&mut String::new()), Ok("a\"b"));
        assert_eq!((integer(event.args.stream), integer(event.args.correlation)), (Some(8), Some(12)));
        assert_eq!(triple(event.args.grid), [Some(1), Some(2), Some(3)]);
        assert!(event.raw_args.starts_with(b"{\"stream\"") && event.raw_args.ends_with(b"8}"));
    }

    #[test]
    fn arrows_and_metadata_are_left_at_once() {
        assert!(matches!(pass(r#"{"ph":"s","id":7,"name":"ac2g"}"#), Passed::Aside(b's')));
        assert!(matches!(pass(r#"{"name":"process_name","ph":"M","args":{"name":"}"}}"#), Passed::Aside(b'M')));
        assert!(matches!(pass(r#""tiny""#), Passed::Foreign));
    }

    #[test]
    fn values_of_unexpected_kinds_are_absent() {
        let Passed::Event(event) = pass(r#"{"ph":3,"name":7,"pid":{},"ts":[1],"args":[1,2]}"#) else {
            panic!("an event")
        };
        assert_eq!((event.phase, event.pid, event.ts, event.raw_args), (b'3', &b""[..], &b""[..], &b""[..]));
        assert_eq!(triple(b"[1]"), [Some(1), None, None]);
        assert_eq!(triple(b"7"), [None; 3]);
        assert_eq!(text(b"null", &mut String::new()), Ok(None));
        assert_eq!(text(b"0", &mut String::new()), Ok(Some("0")));
    }

    #[test]
    fn json_is_compacted_outside_of_strings() {
        let mut scratch = Vec::new();
        assert_eq!(compact(b"[ [1,\n 2], \"a b\\\" c\" ]", &mut scratch), Ok(Some("[[1,2],\"a b\\\" c\"]")));
        assert_eq!(compact(b"", &mut scratch), Ok(None));
    }
}
