//! What recording must not do. In a file of its own, since the allocator counts for the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::process::Command;

#[path = "nvtx/tool.rs"]
mod tool;

use proftool_tracer::nvtx::{self, Payload, RangeName};
use proftool_tracer::{
    ABSENT, Api, Call, Capacity, CopyKind, Dependency, DependencyKind, Head, Operation, OperationKind, Range, Recorder,
    ThreadBuffer,
};

struct Counting;

thread_local! {
    /// Allocations of this thread: those of the test harness are not the recorder's.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a plain cell and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(task: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    task();
    ALLOCATIONS.with(Cell::get) - before
}

/// One record of each kind, and a range that is begun and ended.
fn record(recorder: &Recorder, buffer: &mut ThreadBuffer, range: &RangeName) {
    let name = recorder.intern("gemm");
    let (start_ns, id) = (buffer.now_ns(), recorder.next_id());
    let end_ns = buffer.now_ns();
    let (kind, copy_kind) = (OperationKind::Copy, Some(CopyKind::PeerToPeer));
    buffer.operation(&Operation { id, kind, name, start_ns, end_ns, copy_kind, ..Operation::default() });
    buffer.dependency(&Dependency { activity: id, depends_on: id - 1, kind: DependencyKind::Data, inferred: false });
    let (api, device, queue) = (Api::Runtime, 0, 0);
    buffer.call(&Call { id, api, name, start_ns, end_ns, device, queue, target_event: ABSENT });
    buffer.range(&Range { id, parent: ABSENT, domain: name, name, start_ns, end_ns, depth: 0 });
    let open = buffer.begin_with(range, Payload::Signed(id));
    buffer.end(open);
}

#[test]
fn recording_allocates_nothing_not_even_when_a_buffer_is_full() {
    const ROOM: usize = 1000;
    assert!(allocations(|| drop(std::hint::black_box(Box::new(1)))) > 0, "the allocator does not count");
    let recorder = Recorder::new(Head::default()).with_nvtx();
    recorder.intern("gemm");
    let range = recorder.range_name("proftool", Some("test"), "range");
    let capacity = Capacity { operations: ROOM, dependencies: ROOM, calls: ROOM, ranges: 2 * ROOM };
    let mut buffer = recorder.thread(0, capacity);
    let counted = allocations(|| (0..2 * ROOM).for_each(|_| record(&recorder, &mut buffer, &range)));
    assert_eq!((counted, buffer.operations().len(), buffer.ranges().len()), (0, ROOM, 2 * ROOM));
    assert_eq!(buffer.lost(), 5 * ROOM as u64);
    println!("attached {}", nvtx::attached());
}

#[test]
fn a_tool_that_listens_changes_nothing_about_that() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(library) = tool::build(folder.path()) else { return };
    let command = tool::again("recording_allocates_nothing_not_even_when_a_buffer_is_full");
    let environment = [("NVTX_INJECTION64_PATH", library.as_os_str()), ("NVTX_TEST_TOOL", "silent".as_ref())];
    let output = Command::new(&command[0]).args(&command[1..]).envs(environment).output().expect("the test runs again");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("attached true"), "{said}");
}
