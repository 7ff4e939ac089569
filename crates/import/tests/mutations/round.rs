//! Many damaged files, one after the other, of one format.

use std::cell::RefCell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use proftool_import::importers::Importer;

use crate::input::{self, Input};
use crate::random::Random;
use crate::seeds::Seeded;
use crate::{check, memory, mutate};

/// Bytes that an import may hold at most, whatever the file: windows, batches and frames of small inputs.
const MEMORY: usize = 192 << 20;
/// An import that takes longer than this hangs; even the slowest of a debug build takes a hundredth of it.
const HANGS: Duration = Duration::from_mins(2);

/// When a round ends.
#[derive(Clone, Copy)]
pub(crate) enum Stop {
    After(u64),
    At(Instant),
}

/// What a round did.
pub(crate) struct Done {
    imports: u64,
    tables: u64,
    largest: usize,
    slowest: Duration,
}

impl fmt::Display for Done {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { imports, tables, largest, slowest } = self;
        write!(out, "{imports} imports, {tables} gave tables, at most {} KiB, {slowest:.1?}", largest >> 10)
    }
}

/// One format's seeds and the numbers that damage them.
pub(crate) struct Round<'s> {
    importer: &'static Importer,
    seeds: &'s [Input],
    random: Random,
}

impl<'s> Round<'s> {
    pub(crate) fn new(seeded: &'s Seeded, seed: u64) -> Self {
        Self { importer: seeded.importer, seeds: &seeded.seeds, random: Random::new(seed) }
    }

    /// Imports damaged files until then; the error names the file with the first input that broke a promise.
    pub(crate) fn run(mut self, stop: Stop) -> Result<Done, String> {
        let place = input::folder().map_err(|error| error.to_string())?;
        let mut done = Done { imports: 0, tables: 0, largest: 0, slowest: Duration::ZERO };
        let watch = Watch::start(self.importer.name, place.path());
        while match stop {
            Stop::After(imports) => done.imports < imports,
            Stop::At(end) => Instant::now() < end,
        } {
            let (Some(seed), Some(other)) = (self.random.pick(self.seeds), self.random.pick(self.seeds)) else { break };
            let input = mutate::mutated(seed, other, &mut self.random);
            let path = input.write(place.path()).map_err(|error| error.to_string())?;
            let claims = self.random.once_in(4);
            let begun = Instant::now();
            let (result, bytes) = memory::peak(|| quietly(|| check(self.importer, &path, claims)));
            watch.beat();
            done.imports += 1;
            done.largest = done.largest.max(bytes);
            done.slowest = done.slowest.max(begun.elapsed());
            let result = result.and_then(|tables| match bytes {
                ..=MEMORY => Ok(tables),
                _ => Err(format!("held {bytes} bytes for a file of {}", input.len())),
            });
            match result {
                Ok(tables) => done.tables += u64::from(tables),
                Err(reason) => return Err(failed(self.importer.name, done.imports, &input, &reason)),
            }
        }
        Ok(done)
    }
}

/// The import, and sometimes what all importers say to the file.
fn check(importer: &'static Importer, path: &Path, claims: bool) -> Result<bool, String> {
    if claims {
        check::claim(path)?;
    }
    check::import(importer, path)
}

fn failed(importer: &str, number: u64, input: &Input, reason: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mutations");
    let path = folder.join(format!("{importer}-{number}"));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, input.to_bytes()));
    let place = written.map_or_else(|error| error.to_string(), |()| path.display().to_string());
    let reason: String = reason.chars().take(600).collect();
    format!("{importer}: import {number}: {reason}\n  the input: {place}")
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static QUIET: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs `work`; a panic in it becomes an error with its place, and is not printed.
fn quietly<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.with_borrow(|quiet| *quiet) {
                PANIC.set(Some(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    result.unwrap_or_else(|_| Err(format!("it panicked: {}", PANIC.take().unwrap_or_default())))
}

/// Ends the whole test run when one import hangs, since nothing else can stop it.
struct Watch {
    beats: Arc<AtomicU64>,
}

impl Watch {
    fn start(importer: &'static str, place: &Path) -> Self {
        let (beats, input) = (Arc::new(AtomicU64::new(0)), place.join("input"));
        let weak = Arc::downgrade(&beats);
        std::thread::spawn(move || {
            let (mut last, mut since) = (0, Instant::now());
            while let Some(beats) = weak.upgrade() {
                let now = beats.load(Ordering::Relaxed);
                drop(beats);
                if now != last {
                    (last, since) = (now, Instant::now());
                }
                if since.elapsed() > HANGS {
                    eprintln!("{importer}: the import of {} takes more than {HANGS:?}", input.display());
                    std::process::abort();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { beats }
    }

    fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }
}
