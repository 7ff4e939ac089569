//! What a tool sees of a recorder's ranges: one written for these tests, and Nsight Systems where it is installed. A process
//! looks for its tool once, so each test runs [`a_session`] of this file again in a process of its own.

#[path = "nvtx/tool.rs"]
mod tool;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use proftool_tracer::nvtx::{self, Domain, Event, Payload};
use proftool_tracer::{Capacity, Head, Range, Recorder};

/// Set for the process that runs [`a_session`].
const CHILD: &str = "NVTX_TEST_CHILD";

/// What the other tests look at. Nothing by itself.
#[test]
fn a_session() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let quiet = Recorder::new(Head::default());
    let mut unseen = quiet.thread(0, Capacity::default());
    let open = unseen.begin(&quiet.range_name("proftool", Some("session"), "off by default"));
    unseen.end(open);
    let recorder = quiet.with_nvtx();
    nvtx::name_thread("host");
    let block = recorder.range_name("proftool", Some("session"), "block");
    let step = recorder.range_name("proftool", None, "step");
    let other = recorder.range_name("serving", Some("request"), "prefill");
    let mut buffer = recorder.thread(0, Capacity::default());
    let outer = buffer.begin_with(&block, Payload::Signed(-7));
    let inner = buffer.begin(&step);
    std::thread::sleep(std::time::Duration::from_millis(2));
    buffer.end(inner);
    let forgotten = buffer.begin_with(&other, Payload::Unsigned(9));
    buffer.end(outer);
    buffer.end(forgotten);
    assert_eq!(buffer.ranges().iter().map(|range| range.depth).collect::<Vec<_>>(), [1, 1, 0]);
    let (block, serving) = (recorder.intern("block"), recorder.intern("serving"));
    assert_eq!((buffer.ranges()[2].name, buffer.ranges()[1].domain), (block, serving));
    assert_eq!(buffer.ranges()[0].parent, buffer.ranges()[2].id);
    let rank = recorder.beside(Head::default());
    let mut second = rank.thread(0, Capacity::default());
    let open = second.begin(&rank.range_name("proftool", None, "rank"));
    second.end(open);
    raw_events();
    report(buffer.ranges().iter().chain(second.ranges()));
}

/// The calls that the recorder does not make.
fn raw_events() {
    let Some(domain) = Domain::named("proftool") else { return };
    let event = Event::new(domain.message("mark\0")).colored(0xff11_2233).with(Payload::Double(0.5));
    domain.mark(&event);
    let range = domain.start(&event.in_category(domain.category("other")));
    std::thread::spawn(move || domain.end(range)).join().expect("the thread ends");
}

/// Says when the ranges were, for the test that started this process.
fn report<'a>(ranges: impl Iterator<Item = &'a Range>) {
    // The harness has begun a line.
    println!();
    for range in ranges {
        println!("range {} {}", range.start_ns, range.end_ns);
    }
    println!("attached {}", nvtx::attached());
}

/// Runs [`a_session`] in a process with that tool; returns what it printed and what the tool saw.
fn run(library: &Path, mode: &str) -> (String, String) {
    run_with("NVTX_INJECTION64_PATH", library, mode)
}

/// As [`run`], with the variable that names the tool.
fn run_with(variable: &str, library: &Path, mode: &str) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, command) = (folder.path().join("log"), tool::again("a_session"));
    let output = Command::new(&command[0])
        .args(&command[1..])
        .env(CHILD, "1")
        .env_remove("NVTX_INJECTION64_PATH")
        .env(variable, library)
        .env("NVTX_TEST_LOG", &log)
        .env("NVTX_TEST_TOOL", mode)
        .output()
        .expect("the test runs again");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{mode}: {said}{}", String::from_utf8_lossy(&output.stderr));
    (said, std::fs::read_to_string(log).unwrap_or_default())
}

const ALL: &str = "\
version 3, 15 and 15 functions
thread id host
create proftool
register proftool block
category proftool 1 session
register proftool step
create serving
register serving prefill
category serving 1 request
push proftool v3/48 category=1 i=-7 registered=block
push proftool v3/48 category=0 registered=step
pop proftool
push serving v3/48 category=1 u=9 registered=prefill
pop serving
pop proftool
register proftool rank
push proftool v3/48 category=0 registered=rank
pop proftool
register proftool mark
mark proftool v3/48 category=0 color=1:ff112233 d=0.5 registered=mark
category proftool 2 other
start proftool v3/48 category=2 color=1:ff112233 d=0.5 registered=mark
end proftool 1
";

/// Without domains and registered strings: those of the default domain, with their texts.
const RANGES: &str = "\
version 3, 15 and 15 functions
push default v3/48 category=1 i=-7 ascii=block
push default v3/48 category=0 ascii=step
pop default
push default v3/48 category=1 u=9 ascii=prefill
pop default
pop default
push default v3/48 category=0 ascii=rank
pop default
";

#[test]
fn a_tool_sees_ranges_at_their_begin_and_end_with_domain_category_and_payload() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(library) = tool::build(folder.path()) else { return };
    let (said, seen) = run(&library, "all");
    assert_eq!(seen, ALL);
    assert!(said.contains("attached true"), "{said}");
}

#[test]
fn a_tool_inside_the_process_is_found_without_a_variable() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(library) = tool::build(folder.path()) else { return };
    assert_eq!(run_with("LD_PRELOAD", &library, "all").1, ALL);
}

#[test]
fn what_a_tool_does_not_fill_does_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(library) = tool::build(folder.path()) else { return };
    assert_eq!(run(&library, "ranges").1, RANGES);
    assert_eq!(run(&library, "none").1, "version 3, 15 and 15 functions\n");
}

#[test]
fn a_tool_that_refuses_is_not_called_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(library) = tool::build(folder.path()) else { return };
    let (said, seen) = run(&library, "refuse");
    assert_eq!(seen, "version 3, 15 and 15 functions\n");
    assert!(said.contains("attached false"), "{said}");
}

#[test]
fn a_library_that_is_missing_or_no_tool_is_ignored() {
    for library in ["/nowhere/libtool.so", "libc.so.6", "", "/dev/null"] {
        let (said, seen) = run(Path::new(library), "all");
        assert!(seen.is_empty() && said.contains("attached false"), "{library}: {said}");
    }
}

/// A range in an nsys export: domain, category, text, payload, nanoseconds of start and end.
type Seen = (Option<String>, Option<String>, String, Option<i64>, i64, i64);

/// Event types of `NVTX_EVENTS`: 59 push and pop, 75 a domain, 33 a category.
const RANGES_QUERY: &str = "
    SELECT domain.text, category.text, coalesce(range.text, string.value),
           coalesce(range.int64Value, range.uint64Value), range.start, range.end
    FROM NVTX_EVENTS range
    LEFT JOIN StringIds string ON string.id = range.textId
    LEFT JOIN NVTX_EVENTS domain ON domain.eventType = 75 AND domain.domainId = range.domainId
    LEFT JOIN NVTX_EVENTS category ON category.eventType = 33 AND category.domainId = range.domainId
        AND category.category = range.category
    WHERE range.eventType = 59 ORDER BY range.start";

fn ranges_of(export: &Path) -> Vec<Seen> {
    let database = rusqlite::Connection::open(export).expect("nsys exported");
    let mut query = database.prepare(RANGES_QUERY).expect("the table has these columns");
    let row =
        |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?));
    let rows = query.query_map([], row).expect("the query runs");
    rows.collect::<Result<_, _>>().expect("every row is read")
}

/// Without the two `none` nsys 2022.4 hangs where no hardware counters are.
const FLAGS: [&str; 6] =
    ["-t", "nvtx", "--sample=none", "--cpuctxsw=none", "--export=sqlite", "--force-overwrite=true"];

/// [`a_session`] under nsys: what it printed and what nsys saw; none where nsys is not installed.
fn under_nsys() -> Option<(String, Vec<Seen>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let profiled = Command::new("timeout")
        .args(["60", "nsys", "profile"])
        .args(FLAGS)
        .arg("-o")
        .arg(folder.path().join("report"))
        .args(tool::again("a_session"))
        .env(CHILD, "1")
        .output();
    let output = profiled.ok().filter(|output| output.status.code() != Some(127));
    let Some(output) = output else {
        // Past the test harness, which hides what a passing test prints.
        writeln!(std::io::stderr(), "skipped: no nsys").expect("stderr is open");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Some((said, ranges_of(&folder.path().join("report.sqlite"))))
}

#[test]
fn nsight_systems_sees_the_ranges_of_the_recorder() {
    const CLOSE_NS: i64 = 50_000;
    let some = |text: &str| Some(text.to_owned());
    let expected = [
        (some("proftool"), some("session"), "block", Some(-7)),
        (some("proftool"), None, "step", None),
        (some("serving"), some("request"), "prefill", Some(9)),
        (some("proftool"), None, "rank", None),
    ];
    // A thread that another process interrupts between the two clocks shows them apart: that is tried again.
    let mut apart_ns = i64::MAX;
    for _ in 0..10 {
        let Some((said, seen)) = under_nsys() else { return };
        let what = seen.iter().map(|range| (range.0.clone(), range.1.clone(), range.2.as_str(), range.3));
        assert_eq!(what.collect::<Vec<_>>(), expected);
        let mut own: Vec<(i64, i64)> = said.lines().filter_map(times).collect();
        own.sort_unstable();
        assert_eq!(own.len(), seen.len(), "{said}");
        apart_ns = apart_ns.min(largest_difference(&own, &seen));
        if apart_ns < CLOSE_NS {
            return;
        }
    }
    panic!("starts and ends are {apart_ns} ns apart");
}

/// The largest difference of a start or an end, both counted from the first start.
fn largest_difference(own: &[(i64, i64)], seen: &[Seen]) -> i64 {
    let (first, seen_first) = (own[0].0, seen[0].4);
    let apart = |own_ns: i64, seen_ns: i64| ((own_ns - first) - (seen_ns - seen_first)).abs();
    let pairs = own.iter().zip(seen);
    pairs.map(|(own, seen)| apart(own.0, seen.4).max(apart(own.1, seen.5))).max().unwrap_or(0)
}

/// Start and end in a line that [`report`] printed.
fn times(line: &str) -> Option<(i64, i64)> {
    let mut words = line.strip_prefix("range ")?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}
