//! NVIDIA's management library, read at a steady rate beside the target: power, energy, clocks, utilisation, memory,
//! temperature, traffic over PCIe and NVLink, reasons for low clocks (docs/nvml-format.md).
//!
//! Each device has two threads: one for its state, one for the PCIe rates, whose readings last 20 ms each. Neither a slow
//! device nor a slow reading holds up another. A reading that does not return when the sampler is stopped is left to
//! itself: its thread writes nothing any more, and the summary says `detached`.

mod claim;
mod file;
mod lane;
mod library;
mod readings;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use proftool_tracer::clock::{monotonic_ns, unix_ns};

use self::file::{End, Head, Line, VERSION, Writer};
use self::lane::{Event, Shared, Stop};
use super::{Beside, Found, Kind, Launch, Missing, Note, Profiler, Running, Severity};
use crate::ranks;

pub use self::file::Lane;
pub use self::library::PATH_VARIABLE;

/// NVIDIA's management library.
pub static PROFILER: Profiler = Profiler {
    name: "nvml",
    doc: "power, energy, clocks, utilisation, memory and traffic of NVIDIA GPUs, 20 times a second",
    available: library::find,
    kind: Kind::Beside(Beside { start }),
};

/// File that the sampler writes into the folder of its pass.
pub const FILE: &str = "nvml.jsonl";

/// The longest period that may be asked for: 10 Hz.
const LONGEST_PERIOD: Duration = Duration::from_millis(100);
/// The shortest: the values themselves change every 10 to 100 ms.
const SHORTEST_PERIOD: Duration = Duration::from_millis(5);
/// How long the first samples may take before the target starts without them.
const FIRST: Duration = Duration::from_secs(1);
/// How long the threads have for their last samples once they are stopped.
const GRACE: Duration = Duration::from_millis(150);

/// How to sample.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time from sample to sample, kept between 5 and 100 ms.
    pub period: Duration,
    /// The library; none: as the environment variable [`PATH_VARIABLE`] says, else as the loader finds it.
    pub library: Option<PathBuf>,
    /// The pass that the samples belong to; none: the name of the folder.
    pub pass: Option<String>,
    /// The rank that they belong to.
    pub rank: i64,
    /// The job whose other ranks may sample the same GPUs: then each GPU is sampled by the first of them that asks.
    pub job: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { period: Duration::from_millis(50), library: None, pass: None, rank: 0, job: None }
    }
}

/// What can go wrong while samples are written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be written to its end.
    #[error("cannot write {}: {cause} (hint: free some space; the samples until then are kept)", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// What a sampler did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The file.
    pub path: PathBuf,
    /// The threads, by device.
    pub lanes: Vec<Lane>,
}

/// A sampler at work.
pub struct Sampler {
    shared: Arc<Shared>,
    lanes: Vec<Arc<lane::Lane>>,
    events: Receiver<Event>,
    ended: usize,
    /// Held until the samples have been taken.
    _claims: Vec<claim::Claim>,
}

impl Sampler {
    /// Starts sampling every device that no other rank of the job samples into [`FILE`] in `folder`; the first samples are
    /// taken before it returns. None, and no file, where there is no such device.
    ///
    /// # Errors
    /// Why it cannot, with the fix.
    pub fn start(folder: &Path, options: &Options) -> Result<Option<Self>, Missing> {
        let nvml = library::open(options.library.as_deref())?;
        let period = options.period.clamp(SHORTEST_PERIOD, LONGEST_PERIOD);
        let mut head = head(&nvml, folder, options, period);
        let mut claims = Vec::new();
        if let Some(job) = &options.job {
            head.devices.retain(|device| {
                let claim = claim::claim(job, device.uuid.as_deref());
                let free = claim.is_some();
                claims.extend(claim);
                free
            });
            if head.devices.is_empty() {
                return Ok(None);
            }
        }
        let path = folder.join(FILE);
        let writer = Writer::create(&path).map_err(|cause| unwritable(&path, &cause))?;
        if !writer.put(&Line::Head(&head)) {
            let cause = writer.close().err().unwrap_or_else(|| io::ErrorKind::Other.into());
            return Err(unwritable(&path, &cause));
        }
        let state = |device| lane::Lane::new(device, "state", readings::STATE, true);
        let pcie = |device| lane::Lane::new(device, "pcie", readings::PCIE, false);
        let devices = head.devices.iter().map(|device| device.device);
        let lanes: Vec<_> = devices.flat_map(|device| [state(device), pcie(device)]).map(Arc::new).collect();
        let (sender, events) = channel();
        let shared = Arc::new(Shared { nvml, writer, stop: Stop::default(), period });
        let mut sampler = Self { shared, lanes, events, ended: 0, _claims: claims };
        for lane in &sampler.lanes {
            let (shared, lane, sender) = (Arc::clone(&sampler.shared), Arc::clone(lane), sender.clone());
            let thread = std::thread::Builder::new().name("nvml".to_owned());
            // Without a handle: a thread whose reading never returns could not be joined.
            let spawned = thread.spawn(move || lane::run(&shared, &lane, &sender));
            spawned.map_err(|cause| unwritable(&path, &cause))?;
        }
        sampler.wait_for_first();
        Ok(Some(sampler))
    }

    fn wait_for_first(&mut self) {
        let (then, mut began) = (Instant::now() + FIRST, 0);
        while began + self.ended < self.lanes.len() {
            match self.events.recv_timeout(then.saturating_duration_since(Instant::now())) {
                Ok(Event::Began) => began += 1,
                Ok(Event::Ended) => self.ended += 1,
                Err(_) => return,
            }
        }
    }

    /// Takes the last samples and closes the file, within 0.2 s: a reading that lasts longer is left to itself.
    ///
    /// # Errors
    /// [`Error::Write`] when the file does not hold every sample.
    pub fn stop(mut self) -> Result<Summary, Error> {
        self.shared.stop.want();
        let then = Instant::now() + GRACE;
        while self.ended < self.lanes.len() {
            match self.events.recv_timeout(then.saturating_duration_since(Instant::now())) {
                Ok(Event::Began) => {}
                Ok(Event::Ended) => self.ended += 1,
                Err(_) => break,
            }
        }
        let lanes: Vec<Lane> = self.lanes.iter().map(|lane| lane.summary(self.shared.period)).collect();
        let end = End { monotonic_ns: monotonic_ns(), unix_ns: unix_ns(), lanes: lanes.clone() };
        self.shared.writer.put(&Line::End(&end));
        let path = self.shared.writer.path().to_owned();
        match self.shared.writer.close() {
            Ok(()) => Ok(Summary { path, lanes }),
            Err(cause) => Err(Error::Write { path, cause }),
        }
    }
}

impl Drop for Sampler {
    /// A sampler that is dropped stops too; its file then has no last line.
    fn drop(&mut self) {
        self.shared.stop.want();
    }
}

fn unwritable(path: &Path, cause: &io::Error) -> Missing {
    let reason = format!("cannot sample into {}: {cause}", path.display());
    Missing { reason, fix: "check the folder's permissions, the space on the disk and the limit of threads".to_owned() }
}

fn head(nvml: &nvml_wrapper::Nvml, folder: &Path, options: &Options, period: Duration) -> Head {
    let named = || folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let count = nvml.device_count().unwrap_or(0);
    Head {
        format: "proftool-nvml",
        version: VERSION,
        pass: options.pass.clone().or_else(named).unwrap_or_else(|| PROFILER.name.to_owned()),
        rank: options.rank,
        clock: "CLOCK_MONOTONIC",
        start_monotonic_ns: monotonic_ns(),
        start_unix_ns: unix_ns(),
        period_ns: period.as_nanos() as i64,
        driver_version: nvml.sys_driver_version().ok(),
        nvml_version: nvml.sys_nvml_version().ok(),
        devices: (0..count).map(|index| library::describe(nvml, index)).collect(),
    }
}

/// What the capture of a command calls.
fn start(_: &Found, launch: &Launch<'_>) -> Result<Box<dyn Running>, Missing> {
    let job = ranks::detect(&|name| std::env::var(name).ok()).map(|rank| rank.job);
    let options = Options { rank: launch.rank, job, ..Options::default() };
    Ok(match Sampler::start(launch.folder, &options)? {
        Some(sampler) => Box::new(sampler),
        None => Box::new(Elsewhere),
    })
}

/// Stands for the sampler of a rank whose GPUs other ranks sample.
struct Elsewhere;

impl Running for Elsewhere {
    fn stop(self: Box<Self>) -> Vec<Note> {
        let detail = "nvml took no samples here: other ranks of the job sample the GPUs of this machine".to_owned();
        vec![Note { severity: Severity::Info, code: "sampled_elsewhere", detail }]
    }
}

impl Running for Sampler {
    /// What went wrong with single readings stands in the file, whose importer tells it.
    fn stop(self: Box<Self>) -> Vec<Note> {
        let failed =
            |error: Error| Note { severity: Severity::DataLoss, code: "nvml_write", detail: error.to_string() };
        Sampler::stop(*self).err().map(failed).into_iter().collect()
    }
}
