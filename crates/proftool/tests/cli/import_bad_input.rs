//! `proftool import` on files that are damaged, foreign or hostile: one error with the file, the place and a hint, exit
//! code 4, nothing left behind.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{Place, Ran, copy_folder, ran, shared_data};

/// A folder with the binary, the folder in which it makes temporary files, and what it is given.
struct Given {
    place: Place,
    temporary: PathBuf,
}

impl Given {
    fn new() -> Self {
        let place = Place::new();
        let temporary = place.path().join("temporary");
        fs::create_dir(&temporary).expect("the folder can be made");
        Self { place, temporary }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("the folder can be made");
        fs::write(path, bytes).expect("the file can be written");
    }

    fn import(&self, name: &str) -> Ran {
        let mut command = self.place.command(&["import", name]);
        ran(&command.env("TMPDIR", &self.temporary).output().expect("the binary starts"))
    }

    /// The import in an address space of so many MiB: beyond it the process would be killed, not refuse.
    fn import_within(&self, mebibytes: u32, name: &str) -> Ran {
        let limited = format!("ulimit -v {}; exec \"$0\" import \"$1\"", u64::from(mebibytes) << 10);
        let mut command = Command::new("sh");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_proftool"), name]);
        ran(&command.current_dir(self.place.path()).env("TMPDIR", &self.temporary).output().expect("the shell starts"))
    }

    fn nothing_left(&self, context: &dyn std::fmt::Display) {
        assert!(self.place.artifacts().is_empty(), "{context}: {:?}", self.place.artifacts());
        let left: Vec<_> = fs::read_dir(&self.temporary).expect("the folder can be read").collect();
        assert!(left.is_empty(), "{context}: {left:?}");
    }

    /// Imports `name` and expects one line that names it, gives a hint and holds each of `parts`.
    fn refused(&self, name: &str, parts: &[&str]) {
        self.is_refusal(&self.import(name), name, parts);
    }

    fn is_refusal(&self, ran: &Ran, name: &str, parts: &[&str]) {
        assert_eq!(ran.code, Some(4), "{name}: {ran:?}");
        assert_eq!((ran.err.lines().count(), ran.out.as_str()), (1, ""), "{name}: {ran:?}");
        assert!(ran.err.starts_with("error: ") && ran.err.contains("hint: "), "{name}: {}", ran.err);
        for part in [name].iter().chain(parts) {
            assert!(ran.err.contains(part), "{name}: no {part:?} in {}", ran.err);
        }
        self.nothing_left(&name);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("bytes can be packed")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("bytes can be packed")
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).expect("an entry can be begun");
        archive.write_all(bytes).expect("an entry can be written");
    }
    archive.finish().expect("the archive can be written").into_inner()
}

/// A kernel of a Kineto trace: microseconds as the profiler prints them.
fn kernel(ts: &str, dur: &str) -> String {
    format!(
        r#"{{"ph": "X", "cat": "kernel", "name": "gemm", "pid": 0, "tid": 7, "ts": {ts}, "dur": {dur},
            "args": {{"device": 0, "stream": 7}}}}"#
    )
}

fn kineto(events: &[String]) -> String {
    let properties = r#"[{"id": 0, "name": "NVIDIA A100-SXM4-40GB", "totalGlobalMem": 42000000000}]"#;
    format!(r#"{{"schemaVersion": 1, "deviceProperties": {properties}, "traceEvents": [{}]}}"#, events.join(",\n"))
}

/// `count` kernels, of which those with the numbers that `replaced` gives are others.
fn kernels(count: usize, replaced: impl Fn(usize) -> Option<String>) -> String {
    let event = |number| replaced(number).unwrap_or_else(|| kernel(&format!("{number}.250"), "0.500"));
    kineto(&(0..count).map(event).collect::<Vec<_>>())
}

fn good() -> String {
    kernels(300, |_| None)
}

#[test]
fn the_trace_that_the_cases_damage_is_good() {
    let given = Given::new();
    for (name, bytes) in [
        ("trace.json", good().into_bytes()),
        ("trace.json.gz", gzip(good().as_bytes())),
        ("trace.json.zst", zstd(good().as_bytes())),
        ("trace.zip", zip(&[("ranks/trace.json", good().as_bytes())])),
    ] {
        given.write(name, bytes);
        let ran = given.import(name);
        assert!(ran.code == Some(0) && !ran.err.contains("error"), "{name}: {ran:?}");
        assert_eq!(fs::read_dir(&given.temporary).expect("the folder can be read").count(), 0, "{name}");
    }
    assert_eq!(given.place.artifacts().len(), 4);
}

#[test]
fn files_that_were_cut_are_named_with_the_place() {
    let given = Given::new();
    let (json, gzip, zstd) = (good(), gzip(good().as_bytes()), zstd(good().as_bytes()));
    for part in [1, 2, 3] {
        let cut = |bytes: &[u8]| bytes[..bytes.len() * part / 4].to_vec();
        given.write("cut.json", cut(json.as_bytes()));
        given.refused("cut.json", &["damaged at byte", "(event "]);
        given.write("cut.json.gz", cut(&gzip));
        given.refused("cut.json.gz", &["its gzip data", "cut short", "download it again"]);
        given.write("cut.json.zst", cut(&zstd));
        given.refused("cut.json.zst", &["its zstd data", "download it again"]);
        given.write("cut.zip", cut(&zip(&[("trace.json", json.as_bytes())])));
        given.refused("cut.zip", &["the archive", "download it again"]);
    }
    given.write("cut.json", &json[..json.len() - 1]);
    given.refused("cut.json", &["damaged at byte", "ends in the middle of a value"]);
}

#[test]
fn packed_data_with_wrong_bits_is_damage_not_a_trace() {
    let given = Given::new();
    let mut broken = gzip(good().as_bytes());
    let middle = broken.len() / 2;
    broken[middle..middle + 40].fill(0xff);
    given.write("broken.json.gz", &broken);
    given.refused("broken.json.gz", &["its gzip data"]);
    let mut sum = gzip(good().as_bytes());
    let end = sum.len();
    sum[end - 8..end - 4].fill(0);
    given.write("sum.json.gz", &sum);
    given.refused("sum.json.gz", &["its gzip data"]);
    given.write("more.json.gz", [gzip(good().as_bytes()), b"and more".to_vec()].concat());
    given.refused("more.json.gz", &["its gzip data"]);
}

#[test]
fn files_that_are_no_traces_say_what_they_look_like() {
    let given = Given::new();
    let cases: &[(&str, &[u8], &[&str])] = &[
        ("empty.json", b"", &["is empty"]),
        ("empty.json.gz", &gzip(b""), &["is empty"]),
        ("blank.json", b"  \n\n ", &["no format", "tried:", "kineto"]),
        ("pointer.json", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n", &["git lfs pull"]),
        ("packed.zst", &zstd(b"version https://git-lfs.github.com/spec/v1\noid"), &["git lfs pull"]),
        ("page.json", b"<!DOCTYPE html><html>", &["no format", "HTML"]),
        ("photo.json", b"\x89PNG\r\n\x1a\n\0\0", &["no format", "a picture"]),
        ("tool", b"\x7fELF\x02\x01\x01\0", &["no format", "a program"]),
        ("noise.json", &[0x80, 0x00, 0xc3, 0x28, 0xff, 0xfe, 0x07], &["no format", "binary data beginning with 80 00"]),
        ("log.json", b"step 1\x1b[2J\x07 done\nstep 2", &["no format", "text beginning with \"step 1"]),
        ("twice.gz", &gzip(&gzip(good().as_bytes())), &["no format", "binary data beginning with 1f 8b"]),
    ];
    for (name, bytes, parts) in cases {
        given.write(name, bytes);
        given.refused(name, parts);
    }
}

#[test]
fn invalid_utf8_is_named_with_the_place() {
    let given = Given::new();
    let good = good().into_bytes();
    let at = good.len() / 2;
    let name = at + good[at..].windows(4).position(|window| window == b"gemm").expect("a kernel has a name");
    let mut broken = good;
    broken[name..name + 2].copy_from_slice(b"\xc3\x28");
    given.write("names.json", &broken);
    given.refused("names.json", &["damaged at byte", "not UTF-8"]);
}

#[test]
fn one_bad_row_in_a_hundred_is_left_out_and_more_fail_the_import() {
    let bad = [
        ("a negative length", kernel("77.000", "-1.000")),
        ("a length beyond 64 bits", kernel("77.000", "9223372036854775808")),
        ("a time beyond 64 bits", kernel("99999999999999999999999.000", "1.000")),
        ("a time beyond a float", kernel("1e400", "1.000")),
        ("an end beyond 64 bits", kernel("9223372036854774.000", "9223372036854774.000")),
    ];
    for (what, event) in bad {
        let given = Given::new();
        let replaced = |every: usize| {
            let event = event.clone();
            move |number: usize| (number % every == every / 2).then(|| event.clone())
        };
        given.write("few.json", kernels(300, replaced(100)));
        let ran = given.import("few.json");
        assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
        assert!(ran.err.contains("warning: ") && ran.err.contains("few.json"), "{what}: {}", ran.err);
        let strict = given.place.run(&["import", "few.json", "--strict"]);
        assert_eq!(strict.code, Some(5), "{what}: {strict:?}");

        let given = Given::new();
        given.write("many.json", kernels(300, replaced(60)));
        given.refused("many.json", &["damaged at byte", "event 31", "5 of its 30"]);
    }
}

#[test]
fn events_without_end_before_start_or_too_far_apart_are_refused() {
    let given = Given::new();
    let ends = [r#"{"ph": "E", "name": "x", "pid": 1, "tid": 1, "ts": 5}"#.to_owned()];
    given.write("ends.json", kineto(&ends));
    given.refused("ends.json", &["damaged at byte"]);
    let apart = [kernel("0.000", "1.000"), kernel("99999999999999.000", "1.000")];
    given.write("apart.json", kineto(&apart));
    given.refused("apart.json", &["104 days"]);
    given.write("none.json", kineto(&[]));
    given.refused("none.json", &["holds no events", "tried:"]);
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    let given = Given::new();
    for (name, open) in [("lists.json", "["), ("objects.json", "{\"a\":")] {
        let event = kernel("1.000", "1.000").replace("\"device\": 0", &format!("\"a\": {}", open.repeat(300_000)));
        given.write(name, kineto(&[event]));
        given.refused(name, &["damaged at byte", "nested deeper"]);
        given.write(name, open.repeat(300_000));
        given.refused(name, &[]);
    }
}

#[test]
fn ten_million_tiny_strings_need_little_memory() {
    let given = Given::new();
    let strings = format!("[{}\"\"]", "\"\",".repeat(10_000_000));
    let head = good();
    let (events, end) = head.split_at(head.len() - 2);
    // As events, as an argument of one event, as a member that no importer knows, and as the whole document.
    let cases = [
        ("events.json", format!("{{\"schemaVersion\": 1, \"deviceProperties\": [], \"traceEvents\": {strings}}}")),
        ("document.json", strings.clone()),
    ];
    for (name, text) in cases {
        given.write(name, text);
        given.is_refusal(&given.import_within(1500, name), name, &[]);
        fs::remove_file(given.path(name)).expect("the file can be removed");
    }
    let argument =
        kernel("5.000", "1.000").replace("\"device\": 0", &format!("\"device\": 0, \"Input Dims\": {strings}"));
    for (name, text) in [
        ("member.json", format!("{events}], \"unknown\": {strings}}}")),
        ("argument.json", format!("{events},\n{argument}{end}")),
    ] {
        given.write(name, text);
        let ran = given.import_within(1500, name);
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
        fs::remove_file(given.path(name)).expect("the file can be removed");
    }
}

#[test]
fn a_bomb_stops_at_the_stated_ratio() {
    // The beginning of a trace, then 80 times the same MiB of events, which packs several hundred times smaller.
    let flow = format!(r#",{{"ph": "f", "ts": 1, "name": "{}"}}"#, " ".repeat(60_000));
    let (head, piece) = (good(), flow.repeat((1 << 20) / flow.len()));
    let head = &head.as_bytes()[..head.len() - 2];
    let bomb = |pack: fn(&[u8]) -> Vec<u8>| [pack(head), pack(piece.as_bytes()).repeat(80)].concat();
    let ratio = proftool_import::raw::BOMB_RATIO.to_string();
    let given = Given::new();
    given.write("bomb.json.gz", bomb(gzip));
    given.write("bomb.json.zst", bomb(zstd));
    let one = zip(&[("rank.json", piece.as_bytes())]);
    let mut one = zip::ZipArchive::new(std::io::Cursor::new(one)).expect("the archive can be read");
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for number in 0..80 {
        let entry = one.by_index_raw(0).expect("the entry can be read");
        archive.raw_copy_file_rename(entry, format!("rank{number}.json")).expect("the entry can be copied");
    }
    given.write("bomb.zip", archive.finish().expect("the archive can be written").into_inner());
    for name in ["bomb.json.gz", "bomb.json.zst", "bomb.zip"] {
        given.is_refusal(&given.import_within(1500, name), name, &["expands to more than", &ratio]);
    }
}

#[test]
fn an_archive_cannot_write_outside_or_hold_itself() {
    let given = Given::new();
    let outside = [("../../outside.json", good().into_bytes()), ("/tmp/proftool-outside.json", good().into_bytes())];
    let entries: Vec<(&str, &[u8])> = outside.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    given.write("slip.zip", zip(&entries));
    given.import("slip.zip");
    assert!(!given.path("outside.json").exists() && !Path::new("/tmp/proftool-outside.json").exists());
    assert_eq!(fs::read_dir(&given.temporary).expect("the folder can be read").count(), 0);

    let given = Given::new();
    let inner = zip(&[("trace.json", good().as_bytes())]);
    given.write("nested.zip", zip(&[("inner.zip", &inner)]));
    given.refused("nested.zip", &["inner.zip", "archive inside an archive"]);
    given.write("empty.zip", zip(&[]));
    given.refused("empty.zip", &["no file that proftool reads"]);
    given.write("foreign.zip", zip(&[("a.txt", b"hello"), ("b/c.txt", b"hello")]));
    given.refused("foreign.zip", &["2 files were looked at", "a.txt"]);
    // A file where another entry needs a folder.
    given.write("clash.zip", zip(&[("a", b"x"), ("a/b", b"y")]));
    given.refused("clash.zip", &[]);
}

fn database(path: &Path, sql: &str) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(path).expect("a database can be made");
    database.execute_batch(sql).expect("the statements are valid");
    database
}

#[test]
fn a_database_of_something_else_says_its_tables() {
    let given = Given::new();
    drop(database(&given.path("places.sqlite"), "CREATE TABLE moz_places(id); INSERT INTO moz_places VALUES (1);"));
    given.refused("places.sqlite", &["SQLite database with 1 tables (moz_places", "tried:", "nsys_sqlite"]);
    drop(database(&given.path("void.sqlite"), "CREATE TABLE a(b); DROP TABLE a;"));
    given.refused("void.sqlite", &["SQLite database with 0 tables"]);
}

#[test]
fn a_locked_database_is_named_with_what_to_wait_for() {
    let Some(data) = shared_data() else { return };
    let given = Given::new();
    fs::copy(data.join("nsys/rtx3080_min.schema3.24.sqlite"), given.path("locked.sqlite")).expect("copied");
    let lock = database(&given.path("locked.sqlite"), "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
    given.refused("locked.sqlite", &["is locked: another program is writing it", "wait until its writer is done"]);
    drop(lock);
    assert_eq!(given.import("locked.sqlite").code, Some(0));
}

#[test]
fn a_half_exported_database_is_damage() {
    let Some(data) = shared_data() else { return };
    let whole = fs::read(data.join("nsys/a100_saxpy.schema2.9.sqlite")).expect("the file can be read");
    let given = Given::new();
    for (name, bytes) in [
        ("header.sqlite", &whole[..100]),
        ("page.sqlite", &whole[..5000]),
        ("half.sqlite", &whole[..whole.len() / 2]),
        ("most.sqlite", &whole[..whole.len() - 4096 * 3]),
    ] {
        given.write(name, bytes);
        given.refused(name, &["damaged at"]);
        given.write(&format!("{name}.gz"), gzip(bytes));
        given.refused(&format!("{name}.gz"), &["damaged at"]);
    }

    // An export that was killed: the journal of its last transaction is still there.
    let path = given.path("hot.sqlite");
    fs::write(&path, &whole).expect("the file can be written");
    let open = database(&path, "PRAGMA cache_size = 2; PRAGMA cache_spill = 2; BEGIN; CREATE TABLE pad(a);");
    open.execute_batch("INSERT INTO pad SELECT randomblob(3000) FROM StringIds LIMIT 500;").expect("rows go in");
    let journal = fs::read(given.path("hot.sqlite-journal")).expect("a transaction has a journal");
    let written = fs::read(&path).expect("the file can be read");
    drop(open);
    given.write("hot.sqlite", &written);
    given.write("hot.sqlite-journal", &journal);
    given.refused("hot.sqlite", &["its writer was stopped", "export again"]);
    assert_eq!(fs::read(given.path("hot.sqlite-journal")).expect("it is still there"), journal, "import only reads");
}

#[test]
fn damaged_files_of_an_export_folder_are_named_and_no_panic_is_printed() {
    let Some(data) = shared_data() else { return };
    let (given, name) = (Given::new(), "CUPTI_ACTIVITY_KIND_KERNEL.parquet");
    copy_folder(&data.join("nsys/gh200_jacobi.parquetdir"), &given.path("export"));
    let whole = fs::read(given.path("export").join(name)).expect("the file can be read");
    let mut pages = whole.clone();
    for byte in pages.iter_mut().skip(64).step_by(7).take(5000) {
        *byte ^= 0x15;
    }
    for damaged in [&whole[..whole.len() / 2], &whole[whole.len() / 2..], &pages, b"PAR1", b"hello"] {
        given.write(&format!("export/{name}"), damaged);
        given.is_refusal(&given.import("export"), name, &["damaged at", "export it again"]);
    }
}

#[test]
fn directories_without_a_trace_say_what_is_in_them() {
    let given = Given::new();
    fs::create_dir_all(given.path("nothing")).expect("the folder can be made");
    given.refused("nothing", &["no file that proftool reads", "it is empty"]);
    fs::create_dir_all(given.path("hollow/a/b/c")).expect("the folder can be made");
    given.refused("hollow", &["no file that proftool reads"]);
    given.write("foreign/notes.txt", "hello");
    given.write("foreign/deep/plot.png", b"\x89PNG\r\n\x1a\n");
    given.write("foreign/empty.json", "");
    given.refused("foreign", &["3 files were looked at", "tried:"]);
    // One damaged rank fails the whole: the others alone would be another run.
    given.write("ranks/rank0.json", good());
    given.write("ranks/rank1.json", &good()[..good().len() / 2]);
    given.is_refusal(&given.import("ranks"), "rank1.json", &["damaged at byte"]);
}

#[test]
fn links_in_circles_end() {
    let given = Given::new();
    fs::create_dir_all(given.path("circle/inner")).expect("the folder can be made");
    for name in ["circle/one", "circle/two", "circle/inner/up"] {
        symlink("..", given.path(name)).expect("a link can be made");
    }
    given.refused("circle", &["no file that proftool reads"]);
    symlink("itself", given.path("itself")).expect("a link can be made");
    given.refused("itself", &["cannot read"]);
    given.write("ranks/rank0.json", good());
    symlink(".", given.path("ranks/again")).expect("a link can be made");
    let ran = given.import("ranks");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let raw = given.place.artifacts()[0].join("raw/kineto");
    assert_eq!(fs::read_dir(raw).expect("the folder can be read").count(), 1);
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let given = Given::new();
    let pipe = given.path("pipe.json");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo starts").success());
    given.refused("pipe.json", &["a pipe, a socket or a device"]);
    given.refused("/dev/null", &["a pipe, a socket or a device"]);
    given.refused("/dev/zero", &["a pipe, a socket or a device"]);
    let socket = std::os::unix::net::UnixListener::bind(given.path("socket")).expect("a socket can be made");
    given.refused("socket", &["a pipe, a socket or a device"]);
    drop(socket);
}

#[test]
fn what_cannot_be_opened_is_named() {
    let given = Given::new();
    given.refused("missing.json", &["No such file"]);
    given.refused("missing/trace.json", &["No such file"]);
    symlink("gone.json", given.path("dangling.json")).expect("a link can be made");
    given.refused("dangling.json", &["No such file"]);
    given.write("file.json", good());
    given.refused("file.json/trace.json", &["Not a directory"]);
    given.write("secret.json", good());
    fs::set_permissions(given.path("secret.json"), fs::Permissions::from_mode(0o000)).expect("permissions can be set");
    // The superuser may read everything.
    if fs::File::open(given.path("secret.json")).is_err() {
        given.refused("secret.json", &["Permission denied", "permissions"]);
    }
}

#[test]
fn a_name_with_control_characters_cannot_break_the_line() {
    let given = Given::new();
    given.write("a\nerror: \u{1b}[2J.json", "hello");
    let ran = given.import("a\nerror: \u{1b}[2J.json");
    given.is_refusal(&ran, "a\\nerror: \\u{1b}[2J.json", &["no format"]);
}

#[test]
fn names_and_devices_of_any_length_make_an_artifact() {
    let given = Given::new();
    let name = format!("{}.json", "\u{e9}".repeat(120));
    let device = "\u{1f4a5} long device name/../".repeat(20_000);
    given.write(&name, good().replace("NVIDIA A100-SXM4-40GB", &device));
    let ran = given.import(&name);
    assert_eq!(ran.code, Some(0), "{}", &ran.err[..ran.err.len().min(500)]);
    assert_eq!(given.place.artifacts().len(), 1);
    assert!(!given.place.artifacts()[0].to_string_lossy().ends_with(".partial"));
}

#[test]
fn a_good_file_before_a_bad_one_keeps_its_artifact() {
    let given = Given::new();
    given.write("good.json", good());
    given.write("bad.json", &good()[..good().len() / 2]);
    let ran = given.place.run(&["import", "good.json", "bad.json"]);
    let error = ran.err.lines().last().unwrap_or_default();
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(error.starts_with("error: bad.json") && ran.out.contains("good"), "{ran:?}");
    assert_eq!(given.place.artifacts().len(), 1);
}
