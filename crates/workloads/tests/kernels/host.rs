//! Kernels compiled for the host by `tests/cuda_on_host`, and their counts.

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use proftool_workloads::cuda::counts::{self, Entry};

/// A word of an argument: what a kernel's parameter is made of, 8 bytes each.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    /// Address of a buffer, with an offset in bytes.
    Buffer(usize, usize),
    /// Anything else, in its first bytes.
    Word(u64),
}

/// One parameter.
pub(crate) type Argument = Vec<Field>;

pub(crate) fn buffer(index: usize) -> Argument {
    vec![Field::Buffer(index, 0)]
}

pub(crate) fn word(value: impl Into<u64>) -> Argument {
    vec![Field::Word(value.into())]
}

/// Device memory: aligned to 16 bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Buffer {
    words: Vec<u128>,
    bytes: usize,
}

impl Buffer {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let words = bytes.chunks(16).map(|chunk| {
            let mut word = [0; 16];
            word[..chunk.len()].copy_from_slice(chunk);
            u128::from_ne_bytes(word)
        });
        Self { words: words.collect(), bytes: bytes.len() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.truncate(self.bytes);
        bytes
    }

    fn address(&mut self) -> *mut c_void {
        self.words.as_mut_ptr().cast()
    }
}

/// What a launch did: operations by kind (add, multiply, fused, divide, exponential, root, matrix FLOP), then bytes
/// loaded and stored, and how many different ones.
type Counts = [u64; 11];

type Launch = unsafe extern "C" fn(*const c_char, *const u32, *const u32, u32, *mut *mut c_void) -> c_int;
type CountRegion = unsafe extern "C" fn(*const c_void, usize);
type TakeCounts = unsafe extern "C" fn(*mut u64);

/// Numbers the builds: tests that run at the same time may build the same source.
static BUILT: AtomicUsize = AtomicUsize::new(0);

/// A source compiled for the host; stays loaded.
struct Library {
    launch: Launch,
    count_region: CountRegion,
    take_counts: TakeCounts,
}

impl Library {
    /// Compiles a source; `None` without a compiler.
    fn build(source: &Path, name: &str, flags: &[&str]) -> Option<Self> {
        if Command::new("g++").arg("--version").output().is_err() {
            println!("skipped: cc not found");
            return None;
        }
        let number = BUILT.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let output = folder.join(format!("{name}.{}.{number}", std::process::id()));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cuda_on_host/build.sh");
        let built = Command::new("sh").arg(script).arg(source).arg(&output).args(flags).output().expect("sh runs");
        let log = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{} does not compile for the host: {log}", source.display());
        let library = Self::open(&output);
        // Loaded: the file is not needed any more.
        std::fs::remove_file(&output).expect("just written");
        Some(library)
    }

    fn open(path: &Path) -> Self {
        let path = CString::new(path.as_os_str().as_bytes()).expect("no zero byte");
        // SAFETY: the path ends with a zero; the library was just built and runs nothing but its own constructors.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null(), "{} can't be loaded", path.to_string_lossy());
        let symbol = |name: &std::ffi::CStr| {
            // SAFETY: the handle is open and the name ends with a zero.
            let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
            assert!(!address.is_null(), "no {}", name.to_string_lossy());
            address
        };
        // SAFETY: these are the signatures in cuda_on_host/launch.h.
        unsafe {
            Self {
                launch: std::mem::transmute::<*mut c_void, Launch>(symbol(c"launch_on_host")),
                count_region: std::mem::transmute::<*mut c_void, CountRegion>(symbol(c"count_region_on_host")),
                take_counts: std::mem::transmute::<*mut c_void, TakeCounts>(symbol(c"take_counts_on_host")),
            }
        }
    }

    fn launch(&self, entry: &str, shape: [[u32; 3]; 2], arguments: &[Argument], buffers: &mut [Buffer]) -> Counts {
        let mut values: Vec<Vec<u64>> = Vec::new();
        for argument in arguments {
            let resolve = |field: &Field| match *field {
                Field::Buffer(index, offset) => buffers[index].address() as u64 + offset as u64,
                Field::Word(word) => word,
            };
            values.push(argument.iter().map(resolve).collect());
        }
        let mut parameters: Vec<*mut c_void> = values.iter_mut().map(|value| value.as_mut_ptr().cast()).collect();
        let name = CString::new(entry).expect("no zero byte");
        let mut counts = [0; 11];
        // SAFETY: every parameter has at least the bytes that the kernel reads (the tests state its arguments), buffers
        // live through the call, and counts has room for 11.
        unsafe {
            for buffer in buffers.iter_mut() {
                (self.count_region)(buffer.address(), buffer.bytes);
            }
            let status = (self.launch)(name.as_ptr(), shape[0].as_ptr(), shape[1].as_ptr(), 0, parameters.as_mut_ptr());
            assert_eq!(status, 0, "{entry} can't be launched");
            (self.take_counts)(counts.as_mut_ptr());
        }
        counts
    }
}

/// The folder of the CUDA sources.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels")
}

/// A file of `kernels/`, compiled twice: as it is, and counting.
pub(crate) struct Kernels {
    source: String,
    plain: Library,
    counting: Library,
}

impl Kernels {
    pub(crate) fn build(file: &str) -> Option<Self> {
        let path = folder().join(file);
        let source = std::fs::read_to_string(&path).expect("the source is there");
        let plain = Library::build(&path, &format!("{file}.so"), &[])?;
        let counting = Library::build(&path, &format!("{file}.count.so"), &["-DCOUNT"])?;
        Some(Self { source, plain, counting })
    }

    fn entry(&self, name: &str) -> Entry<'_> {
        let entries = counts::entries(&self.source).expect("a readable header");
        entries.into_iter().find(|entry| entry.name == name).expect("the header states the entry")
    }

    fn shape(&self, name: &str, values: &[(&str, u64)]) -> [[u32; 3]; 2] {
        let entry = self.entry(name);
        let line = |line: &str| entry.evaluate(line, values).expect("a formula").unwrap_or(1) as u32;
        [[line("grid_x"), line("grid_y"), 1], [line("block_x"), 1, 1]]
    }

    /// Launches in the shape that the header states.
    pub(crate) fn run(&self, name: &str, values: &[(&str, u64)], arguments: &[Argument], buffers: &mut [Buffer]) {
        self.plain.launch(name, self.shape(name, values), arguments, buffers);
    }

    /// The same, but counting: the header's formulas must be exactly what was counted.
    pub(crate) fn check_counts(
        &self,
        name: &str,
        values: &[(&str, u64)],
        arguments: &[Argument],
        buffers: &mut [Buffer],
    ) {
        let [add, multiply, fused, divide, exponential, root, matrix, loads, stores, loaded, stored] =
            self.counting.launch(name, self.shape(name, values), arguments, buffers);
        let special = divide + exponential + root;
        let entry = self.entry(name);
        let line = |line: &str| entry.evaluate(line, values).expect("a formula");
        let executed = entry.executed_flop(values).expect("a formula");
        assert_eq!(executed, Some(add + multiply + 2 * fused + special + matrix), "{name} {values:?} executed_flop");
        assert_eq!(line("special").unwrap_or(0), special, "{name} {values:?} special");
        assert_eq!(line("loads"), Some(loads), "{name} {values:?} loads");
        assert_eq!(line("stores"), Some(stores), "{name} {values:?} stores");
        // Each value once a pass over the memory; only the memory ceilings make several.
        let passes = values.iter().find(|(name, _)| *name == "repeats").map_or(1, |(_, repeats)| *repeats);
        assert_eq!(line("bytes"), Some((loaded + stored) * passes), "{name} {values:?} bytes");
        assert!(line("flop") <= executed, "{name} {values:?}: executes less than it needs");
    }

    /// Both, each on its own copy of the buffers: counting must not change a result. Gives the buffers afterwards.
    pub(crate) fn check(
        &self,
        name: &str,
        values: &[(&str, u64)],
        arguments: &[Argument],
        buffers: &[Buffer],
    ) -> Vec<Buffer> {
        let (mut plain, mut counted) = (buffers.to_vec(), buffers.to_vec());
        self.run(name, values, arguments, &mut plain);
        self.check_counts(name, values, arguments, &mut counted);
        assert!(plain == counted, "{name} {values:?}: counting changes the result");
        plain
    }
}
