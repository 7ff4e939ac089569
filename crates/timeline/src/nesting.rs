//! Nested ranges of host threads, projected onto what was launched inside them, by one sweep a thread.
