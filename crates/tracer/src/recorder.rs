//! One recording session.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::buffer::{Capacity, Records, ThreadBuffer};
use crate::clock;
use crate::file::{self, Error};
use crate::head::Head;
use crate::nvtx::{self, RangeName};
use crate::record::Text;

/// One recording session; clones share it.
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
}

/// What the recorder and its buffers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) head: Head,
    pub(crate) start_unix_ns: i64,
    pub(crate) start_monotonic_ns: i64,
    /// Whether ranges go to the attached tool too.
    nvtx: AtomicBool,
    next_id: AtomicI64,
    texts: Mutex<Texts>,
    filled: Mutex<Vec<Records>>,
}

#[derive(Debug, Default)]
struct Texts {
    index: HashMap<String, i64>,
    all: Vec<String>,
}

/// A panic of another thread leaves whole records behind: they are kept.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    #[inline]
    pub(crate) fn now_ns(&self) -> i64 {
        clock::monotonic_ns() - self.start_monotonic_ns
    }

    #[inline]
    pub(crate) fn next_id(&self) -> i64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn submit(&self, records: Records) {
        lock(&self.filled).push(records);
    }
}

impl Recorder {
    /// Starts a session now.
    pub fn new(head: Head) -> Self {
        let shared = Shared {
            head,
            start_unix_ns: clock::unix_ns(),
            start_monotonic_ns: clock::monotonic_ns(),
            nvtx: AtomicBool::new(false),
            next_id: AtomicI64::new(0),
            texts: Mutex::default(),
            filled: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Gives the ranges named from now on to the NVTX tool too, where one is attached ([`nvtx::attached`]).
    #[must_use]
    pub fn with_nvtx(self) -> Self {
        self.shared.nvtx.store(nvtx::attached(), Ordering::Relaxed);
        self
    }

    /// Another rank of the same session: a recorder of its own that counts from the same start.
    #[must_use]
    pub fn beside(&self, head: Head) -> Self {
        let shared = Shared {
            head,
            start_unix_ns: self.shared.start_unix_ns,
            start_monotonic_ns: self.shared.start_monotonic_ns,
            nvtx: AtomicBool::new(self.shared.nvtx.load(Ordering::Relaxed)),
            next_id: AtomicI64::new(0),
            texts: Mutex::default(),
            filled: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The index of `text` in the session's string table. Takes a lock: intern before the hot path.
    pub fn intern(&self, text: &str) -> Text {
        let mut texts = lock(&self.shared.texts);
        if let Some(&index) = texts.index.get(text) {
            return Text(index);
        }
        let index = texts.all.len() as i64;
        texts.all.push(text.to_owned());
        texts.index.insert(text.to_owned(), index);
        Text(index)
    }

    /// A name for ranges that this recorder's buffers begin: domain, category (for the tool only) and name. Takes locks:
    /// make it before the hot path.
    pub fn range_name(&self, domain: &str, category: Option<&str>, name: &str) -> RangeName {
        let enabled = self.shared.nvtx.load(Ordering::Relaxed);
        let tool = enabled.then(|| nvtx::Domain::named(domain)).flatten().map(|of| {
            let event = nvtx::Event::new(of.message(name));
            (of, category.map_or(event, |category| event.in_category(of.category(category))))
        });
        RangeName { domain: self.intern(domain), name: self.intern(name), tool }
    }

    /// A buffer for the thread that calls itself `thread`, allocated here.
    pub fn thread(&self, thread: i64, capacity: Capacity) -> ThreadBuffer {
        ThreadBuffer::new(Arc::clone(&self.shared), thread, capacity)
    }

    /// A new identifier, unique in the session among operations, calls and ranges.
    #[inline]
    pub fn next_id(&self) -> i64 {
        self.shared.next_id()
    }

    /// Nanoseconds since the session start, on a clock that all threads share.
    #[inline]
    pub fn now_ns(&self) -> i64 {
        self.shared.now_ns()
    }

    /// Writes the records of all buffers that were dropped so far. The file is whole or absent.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let filled = lock(&self.shared.filled);
        let texts = lock(&self.shared.texts);
        file::write(path, &self.shared, &texts.all, &filled)
    }
}
