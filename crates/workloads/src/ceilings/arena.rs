//! Memory that the trials walk: aligned, and written before it is read.
//!
//! Huge pages are asked for, as the targets do for the weights that they stream: on others the roof would lie below what
//! they reach (docs/ceilings.md has the difference).

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::Error;
use crate::backend::advise_huge_pages;

/// Alignment of an arena: that of a huge page.
const ALIGNMENT: usize = 2 << 20;

/// An aligned anonymous mapping.
#[derive(Debug)]
pub(super) struct Arena {
    mapping: *mut libc::c_void,
    mapped: usize,
    start: *mut u8,
    bytes: usize,
}

// SAFETY: the arena owns its mapping; only one trial at a time walks it, and nothing keeps a reference into it.
unsafe impl Send for Arena {}
// SAFETY: as above; the pointer is handed out, never dereferenced here after `touch`.
unsafe impl Sync for Arena {}

impl Arena {
    /// Reserves `bytes`; no page is resident before [`Arena::touch`].
    pub(super) fn new(bytes: usize) -> Result<Self, Error> {
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        let mapped = bytes + ALIGNMENT;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new anonymous mapping; no existing memory is affected.
        let mapping = unsafe { libc::mmap(ptr::null_mut(), mapped, protection, flags, -1, 0) };
        if mapping == libc::MAP_FAILED {
            return Err(Error::Memory { bytes: mapped, source: io::Error::last_os_error() });
        }
        let start = mapping.cast::<u8>();
        let start = start.wrapping_add(start.align_offset(ALIGNMENT));
        // SAFETY: the mapping above holds `bytes` from `start` on, and nothing else refers to it yet.
        advise_huge_pages(unsafe { std::slice::from_raw_parts_mut(start.cast::<MaybeUninit<u8>>(), bytes) });
        Ok(Self { mapping, mapped, start, bytes })
    }

    /// Writes every byte. Called on the core that will walk it, so that the pages lie on its NUMA node; ones, because
    /// some CPUs and hypervisors treat zero lines and zero pages specially.
    pub(super) fn touch(&self) {
        for offset in (0..self.bytes).step_by(size_of::<f32>()) {
            // SAFETY: inside the mapping and a multiple of four; no reference to the memory exists.
            unsafe { self.start.add(offset).cast::<[u8; 4]>().write(1.0_f32.to_ne_bytes()) };
        }
    }

    /// Its first byte; as many bytes from there as were asked for are valid while the arena lives.
    pub(super) fn start(&self) -> *mut u8 {
        self.start
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; it fails only for wrong arguments.
        unsafe { libc::munmap(self.mapping, self.mapped) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_aligned_and_every_byte_is_written() {
        let arena = Arena::new(3 << 20).unwrap();
        arena.touch();
        assert_eq!(arena.start() as usize % ALIGNMENT, 0);
        assert_eq!(arena.bytes, 4 << 20);
        // SAFETY: the last four bytes of the arena.
        let last = unsafe { arena.start().add(arena.bytes - 4).cast::<[u8; 4]>().read() };
        assert_eq!(last, 1.0_f32.to_ne_bytes());
    }

    #[test]
    fn a_size_that_no_machine_has_is_an_error_with_a_hint() {
        let error = Arena::new(1 << 60).unwrap_err();
        assert!(error.to_string().contains("hint"), "{error}");
    }
}
