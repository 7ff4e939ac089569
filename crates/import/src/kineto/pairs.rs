//! Events in two halves, `B` and `E`.

use super::event::Event;
use super::names::QuickMap;

/// How many halves may wait for their other half, and how large they may be together.
const MOST_OPEN: usize = 1 << 20;
const MOST_BYTES: usize = 128 << 20;

/// First halves that wait for their second, a stack for each process and thread.
#[derive(Default)]
pub(crate) struct Pairs {
    stacks: QuickMap<Box<[u8]>, Vec<Begun>>,
    open: usize,
    bytes: usize,
}

/// A first half.
pub(crate) struct Begun {
    /// The event as it stands in the file.
    pub(crate) json: Box<[u8]>,
    /// Its time, in nanoseconds.
    pub(crate) start: i64,
}

impl Pairs {
    /// Takes a first half; `false` when there are too many.
    pub(crate) fn begin(&mut self, event: &Event<'_>, json: &[u8], start: i64) -> bool {
        if self.open >= MOST_OPEN || self.bytes >= MOST_BYTES {
            return false;
        }
        self.open += 1;
        self.bytes += json.len();
        self.stacks.entry(key(event)).or_default().push(Begun { json: json.into(), start });
        true
    }

    /// The first half that a second half ends: the last one on its thread.
    pub(crate) fn end(&mut self, event: &Event<'_>) -> Option<Begun> {
        let begun = self.stacks.get_mut(&key(event))?.pop()?;
        self.open -= 1;
        self.bytes -= begun.json.len();
        Some(begun)
    }

    /// What never ended, in the order of their begins.
    pub(crate) fn rest(self) -> Vec<Begun> {
        let mut rest: Vec<Begun> = self.stacks.into_values().flatten().collect();
        rest.sort_by(|a, b| (a.start, &a.json).cmp(&(b.start, &b.json)));
        rest
    }
}

fn key(event: &Event<'_>) -> Box<[u8]> {
    [event.pid, b"\0", event.tid].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_pair_on_their_thread_last_first() {
        let on = |tid| Event { pid: b"1", tid, ..Event::default() };
        let mut pairs = Pairs::default();
        for (tid, json, start) in [(&b"1"[..], &b"a"[..], 0), (b"2", b"b", 1), (b"1", b"c", 2)] {
            assert!(pairs.begin(&on(tid), json, start));
        }
        assert_eq!(pairs.end(&on(b"1")).map(|begun| begun.start), Some(2));
        assert_eq!(pairs.end(&on(b"2")).map(|begun| begun.start), Some(1));
        assert!(pairs.end(&on(b"2")).is_none() && pairs.end(&on(b"3")).is_none());
        assert_eq!(pairs.rest().iter().map(|begun| &*begun.json).collect::<Vec<_>>(), [b"a"]);
    }
}
