//! How the allocator treats large buffers.

/// Keeps freed buffers for the next row group instead of handing each back to the kernel: without this an import spends
/// a third of its CPU time on page faults. The peak stays the same, since the buffers are used again.
pub(crate) fn keep_freed_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets two numbers, and no other thread exists yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
    }
}
