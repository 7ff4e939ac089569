//! The importer of trace-event JSON: what PyTorch's profiler (Kineto) writes, and Chrome traces of any program
//! (`docs/importers/kineto.md`).

use std::io::Read;

use super::{Importer, Session};
use crate::Error;
use crate::kineto::{Learned, Reading};
use crate::raw::json::{Failure, Fault, Stop, Stream};
use crate::raw::{Head, Import, Severity, Source};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "kineto",
    doc: "Trace-event JSON: PyTorch profiler (Kineto) traces of CUDA and HIP, and any Chrome trace.",
    sniff,
    import,
};

/// Members that Kineto writes beside the events. Long metadata can push `traceEvents` out of the head: two of these are
/// as good.
const MEMBERS: &[&str] = &[
    "\"schemaVersion\"",
    "\"deviceProperties\"",
    "\"distributedInfo\"",
    "\"record_shapes\"",
    "\"baseTimeNanoseconds\"",
];

/// An object with the format's members, or an array of events.
fn sniff(head: &Head<'_>) -> bool {
    let bytes = head.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head.bytes).trim_ascii_start();
    let has = |what: &str| memchr::memmem::find(bytes, what.as_bytes()).is_some();
    match bytes {
        [b'{', ..] => has("\"traceEvents\"") || MEMBERS.iter().filter(|member| has(member)).count() > 1,
        [b'[', rest @ ..] => rest.trim_ascii_start().starts_with(b"{") && has("\"ph\"") && has("\"ts\""),
        _ => false,
    }
}

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let mut reading = Reading::new(import, Learned::default());
    pass(source, &mut reading)?;
    // Rank, sizes of groups and further calls can stand behind the rows that need them: those are made again.
    let reading = if reading.too_early() {
        let learned = reading.learned();
        import.restart()?;
        if let Some(rank) = learned.metadata.rank {
            import.sink.set_rank(rank);
        }
        let mut reading = Reading::new(import, learned);
        pass(source, &mut reading)?;
        reading
    } else {
        reading
    };
    let session = session(&reading);
    reading.finish()?;
    Ok(session)
}

/// Reads the file once, with the rank of the file's name until the file tells another.
fn pass(source: &Source, reading: &mut Reading<'_, '_>) -> Result<(), Error> {
    let refused = |failure| refused(source, 0, failure);
    let mut stream = Stream::new(source.reader()?).map_err(refused)?;
    if stream.begins(b'[').map_err(refused)? {
        bare(source, &mut stream, reading)?;
    } else {
        members(source, &mut stream, reading)?;
    }
    stream.finish().map_err(refused)
}

fn members<R: Read>(source: &Source, stream: &mut Stream<R>, reading: &mut Reading<'_, '_>) -> Result<(), Error> {
    let refused = |failure| refused(source, 0, failure);
    let (mut first, mut key, mut found) = (true, String::new(), false);
    stream.object().map_err(refused)?;
    while stream.key(&mut first, &mut key).map_err(refused)? {
        if key != "traceEvents" {
            let passed = if reading.second() { stream.skip() } else { reading.metadata.member(&key, stream) };
            passed.map_err(refused)?;
            continue;
        }
        if std::mem::replace(&mut found, true) {
            let hint = "keep one of them; proftool imports several files side by side";
            return Err(source.damaged(format!("byte {}", stream.offset()), "traceEvents stands twice", hint));
        }
        if let Some(rank) = reading.metadata.rank.filter(|_| !reading.second()) {
            reading.import.sink.set_rank(rank);
        }
        events(stream, reading).map_err(|unread| unread.error(source, stream))?;
    }
    if found {
        return Ok(());
    }
    let hint = "export the trace again with `export_chrome_trace`";
    Err(source.damaged("its end", "it has no traceEvents", hint))
}

/// An array of events without an object around it. Programs write such files while they run: the format allows the last
/// bracket to be missing, and most leave a comma before it.
fn bare<R: Read>(source: &Source, stream: &mut Stream<R>, reading: &mut Reading<'_, '_>) -> Result<(), Error> {
    let Err(unread) = events(stream, reading) else { return Ok(()) };
    match &unread.stop {
        Stop::Failure(Failure::Json { fault: Fault::Short, .. }) if unread.between => {}
        Stop::Failure(Failure::Json { fault: Fault::Expected(_), .. }) if unread.between && ends(stream) => {}
        _ => return Err(unread.error(source, stream)),
    }
    let detail = "the array of events has no last bracket, or a comma before it; an event may be missing at its end";
    reading.import.issue(Severity::Info, "array_not_closed", 1, detail);
    Ok(())
}

/// Passes the bracket that ends an array, if it comes next.
fn ends<R: Read>(stream: &mut Stream<R>) -> bool {
    stream.parse(|cursor| cursor.pass(b']', "the end of an array")).is_ok()
}

/// Why the events could not be read to their end.
struct Unread {
    /// The event's number.
    number: u64,
    /// Whether all events before it are whole and it was not begun.
    between: bool,
    stop: Stop<Error>,
}

impl Unread {
    fn error<R: Read>(self, source: &Source, stream: &Stream<R>) -> Error {
        match self.stop {
            Stop::Other(error) => error,
            Stop::Failure(failure) => refused(source, self.number, failure),
            Stop::Fault(fault) => refused(source, self.number, Failure::Json { offset: stream.offset(), fault }),
        }
    }
}

fn events<R: Read>(stream: &mut Stream<R>, reading: &mut Reading<'_, '_>) -> Result<(), Unread> {
    let mut begun = 0;
    let passed = stream.elements(|cursor, place| {
        begun = place.number;
        reading.element(cursor, place)
    });
    let between = |number| begun > 0 && begun < number;
    passed.map(|_| ()).map_err(|(number, stop)| Unread { number, between: between(number), stop })
}

/// The message of a file that cannot be read on; `number` is that of the event, 0 outside of events.
fn refused(source: &Source, number: u64, failure: Failure) -> Error {
    let place = |offset| if number == 0 { format!("byte {offset}") } else { format!("byte {offset} (event {number})") };
    match failure {
        Failure::Io(cause) => source.io(cause),
        Failure::Json { offset, fault: fault @ Fault::Short } => {
            source.damaged(place(offset), fault, "copy it again, or capture again and let the profiler finish")
        }
        Failure::Json { offset, fault } => source.damaged(place(offset), fault, "it is no valid JSON; export it again"),
        Failure::Large { offset } => source.damaged(
            place(offset),
            "one event is larger than 64 MiB",
            "it is no profiler's trace; export it again",
        ),
    }
}

fn session(reading: &Reading<'_, '_>) -> Session {
    let base = reading.metadata.base_ns;
    let epoch = base.is_some() || reading.epoch() == Some(true);
    Session {
        start_unix_ns: base.unwrap_or(0),
        start_monotonic_ns: 0,
        clock: if epoch { "unix epoch" } else { "trace" }.to_owned(),
        time_simulated: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> bool {
        sniff(&Head { name: "any.name", bytes: text.as_bytes(), ..Head::default() })
    }

    #[test]
    fn content_tells_the_format() {
        assert!(claims("\u{feff} {\"metadata\": {}, \"traceEvents\": []}"));
        assert!(claims("{\"schemaVersion\": 1, \"deviceProperties\": []}"));
        assert!(claims("[\n {\"name\": \"a\", \"ph\": \"X\", \"ts\": 1, \"dur\": 2}]"));
        for other in ["", "{}", "[1, 2]", "[{\"a\": 1}]", "{\"results\": []}", "ph,ts\n1,2", "\"traceEvents\""] {
            assert!(!claims(other), "{other}");
        }
    }
}
