//! What a command prints: kept in files while it is passed on.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Error;

/// As large as a Linux pipe.
const CHUNK: usize = 64 << 10;
/// How often a pipe without data looks whether the run has ended, and the echo for new data.
const PATIENCE: Duration = Duration::from_millis(50);

/// A file that will keep one stream.
pub(super) struct Kept {
    file: File,
}

impl Kept {
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(|cause| Error::Output { path: path.to_owned(), cause })?;
        Ok(Self { file })
    }

    /// Copies the pipe to the file in a thread until it is closed, or the run has ended and nothing more comes.
    pub(super) fn copy_from(self, pipe: Option<OwnedFd>) -> Pipe {
        let done = Arc::new(AtomicBool::new(false));
        let thread = pipe.and_then(|pipe| {
            let done = Arc::clone(&done);
            // Without the thread the pipe closes and the command sees a broken pipe: rare, and told as lost output.
            let name = "proftool-output".to_owned();
            std::thread::Builder::new().name(name).spawn(move || copy(File::from(pipe), self.file, &done)).ok()
        });
        Pipe { done, thread }
    }
}

/// A pipe that is being copied.
pub(super) struct Pipe {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<(u64, Option<String>)>>,
}

impl Pipe {
    /// Takes what is left in the pipe. Returns the bytes read and why some of them were not kept.
    pub(super) fn finish(self) -> (u64, Option<String>) {
        self.done.store(true, Ordering::Relaxed);
        let lost = || (0, Some("no thread could be started to read it".to_owned()));
        self.thread.and_then(|thread| thread.join().ok()).unwrap_or_else(lost)
    }
}

/// Reads on after the file cannot take more: the command must not stop for a full disk.
fn copy(mut pipe: File, mut file: File, done: &AtomicBool) -> (u64, Option<String>) {
    let mut buffer = vec![0; CHUNK];
    let (mut bytes, mut lost) = (0, None);
    loop {
        let ended = done.load(Ordering::Relaxed);
        if !readable(&pipe) {
            // A process that could not be ended may hold the pipe open for ever.
            if ended {
                return (bytes, lost);
            }
            continue;
        }
        match pipe.read(&mut buffer) {
            Ok(0) => return (bytes, lost),
            Ok(count) => {
                bytes += count as u64;
                if lost.is_none() {
                    lost = file.write_all(&buffer[..count]).err().map(|error| error.to_string());
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return (bytes, lost.or(Some(error.to_string()))),
        }
    }
}

/// Whether the pipe has data or is closed, waited for a moment.
fn readable(pipe: &File) -> bool {
    let mut poll = libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd, which outlives the call.
    unsafe { libc::poll(&raw mut poll, 1, PATIENCE.as_millis() as libc::c_int) > 0 }
}

/// Passes what both files get on to proftool's stderr, at its reader's pace.
pub(super) struct Echo {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub(super) fn start(files: [&Path; 2]) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (files, flag) = (files.map(Path::to_owned), Arc::clone(&done));
        let name = "proftool-echo".to_owned();
        // Output that is not shown is still kept.
        let thread = std::thread::Builder::new().name(name).spawn(move || follow(&files, &flag)).ok();
        Self { done, thread }
    }

    /// Passes on what is left.
    pub(super) fn finish(self) {
        self.done.store(true, Ordering::Relaxed);
        // A panic in it has been told already; nothing depends on it.
        let _ = self.thread.map(|thread| {
            thread.thread().unpark();
            thread.join()
        });
    }
}

fn follow(files: &[PathBuf; 2], done: &AtomicBool) {
    let mut open: Vec<File> = files.iter().filter_map(|path| File::open(path).ok()).collect();
    let mut buffer = vec![0; CHUNK];
    loop {
        let ended = done.load(Ordering::Relaxed);
        let mut quiet = true;
        for file in &mut open {
            let count = file.read(&mut buffer).unwrap_or_default();
            quiet &= count == 0;
            // A reader of stderr that went away is no reason to stop.
            let _ = std::io::stderr().write_all(&buffer[..count]);
        }
        if quiet && ended {
            return;
        }
        if quiet {
            std::thread::park_timeout(PATIENCE);
        }
    }
}
