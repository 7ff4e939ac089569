//! The buffers that CUPTI fills.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashSet;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// CUPTI's `ACTIVITY_RECORD_ALIGNMENT`.
const ALIGNMENT: usize = 8;
/// Buffers that stay for the next request; what a burst needs beyond them goes back to the system.
const KEPT: usize = 64;

/// Buffers of one size, made when they are needed, up to a number.
#[derive(Debug)]
pub(crate) struct Pool {
    layout: Option<Layout>,
    most: usize,
    buffers: Mutex<Buffers>,
}

/// Addresses, since pointers can't be shared between threads.
#[derive(Debug, Default)]
struct Buffers {
    free: Vec<usize>,
    taken: HashSet<usize>,
}

impl Pool {
    pub(crate) fn new(bytes: usize, most: usize) -> Self {
        Self { layout: Layout::from_size_align(bytes, ALIGNMENT).ok(), most, buffers: Mutex::default() }
    }

    /// Size of a buffer.
    pub(crate) fn bytes(&self) -> usize {
        self.layout.map_or(0, |layout| layout.size())
    }

    /// A buffer, `None` when all are taken or memory is short. Never waits for one.
    pub(crate) fn take(&self) -> Option<NonNull<u8>> {
        let layout = self.layout.filter(|layout| layout.size() > 0)?;
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let address = match buffers.free.pop() {
            Some(address) => address,
            None if buffers.taken.len() >= self.most => return None,
            // SAFETY: the size is not zero.
            None => unsafe { alloc(layout) as usize },
        };
        let buffer = NonNull::new(address as *mut u8)?;
        buffers.taken.insert(address);
        Some(buffer)
    }

    /// Whether a buffer is one of this pool that was taken. A forked child sees buffers of its parent, which are not.
    pub(crate) fn has(&self, buffer: *const u8) -> bool {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).taken.contains(&(buffer as usize))
    }

    /// Takes a buffer back.
    pub(crate) fn give(&self, buffer: *mut u8) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if !buffers.taken.remove(&(buffer as usize)) {
            return;
        }
        if buffers.free.len() < KEPT {
            buffers.free.push(buffer as usize);
        } else if let Some(layout) = self.layout {
            // SAFETY: `take` allocated it with this layout, and nobody has it any more.
            unsafe { dealloc(buffer, layout) };
        }
    }

    /// Whether CUPTI holds any buffer.
    pub(crate) fn in_use(&self) -> bool {
        !self.buffers.lock().unwrap_or_else(PoisonError::into_inner).taken.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_gives_what_it_has_and_takes_it_back() {
        let pool = Pool::new(64, 2);
        let (first, second) = (pool.take().expect("one"), pool.take().expect("two"));
        assert!(first != second && pool.take().is_none() && pool.has(first.as_ptr()));
        pool.give(first.as_ptr());
        assert!(!pool.has(first.as_ptr()) && pool.in_use());
        assert_eq!(pool.take(), Some(first));
    }

    #[test]
    fn a_buffer_of_somebody_else_is_not_taken_in() {
        let pool = Pool::new(64, 1);
        let mut other = [0_u64; 8];
        pool.give(other.as_mut_ptr().cast());
        assert!(!pool.in_use() && pool.take() != NonNull::new(other.as_mut_ptr().cast()));
    }

    #[test]
    fn a_burst_of_buffers_goes_back_to_the_system() {
        let pool = Pool::new(64, 200);
        let all: Vec<_> = (0..200).map(|_| pool.take().expect("a buffer")).collect();
        for buffer in all {
            pool.give(buffer.as_ptr());
        }
        assert_eq!(pool.buffers.lock().expect("a lock").free.len(), KEPT);
    }
}
