//! The prefix caches of all devices: which blocks each holds, the least recently used evicted first.

use hashbrown::HashMap;

const NONE: u32 = u32::MAX;

/// The caches, and an index over them: one word a block has a bit for each device that holds it, so that the longest
/// cached prefix of a prompt on every device is found in one walk over its blocks.
pub(crate) struct Caches {
    holders: Vec<u64>,
    devices: Vec<Cache>,
}

/// One device's blocks. Those that no request uses are in a list, the most recently used first.
#[derive(Default)]
struct Cache {
    places: HashMap<u32, u32>,
    nodes: Vec<Node>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
    unused: u64,
}

struct Node {
    block: u32,
    users: u32,
    newer: u32,
    older: u32,
}

impl Caches {
    /// Empty caches of that many devices, for blocks below `distinct_blocks`.
    pub(crate) fn new(devices: usize, distinct_blocks: u32) -> Self {
        let cache = || Cache { newest: NONE, oldest: NONE, ..Cache::default() };
        Self { holders: vec![0; distinct_blocks as usize], devices: (0..devices).map(|_| cache()).collect() }
    }

    /// Blocks at the beginning of `blocks` that each device holds, into `found`.
    pub(crate) fn prefixes(&self, blocks: &[u32], found: &mut [u32]) {
        found.fill(0);
        let mut holders = u64::MAX >> (64 - found.len().max(1));
        for (at, &block) in blocks.iter().enumerate() {
            let still = holders & self.holders[block as usize];
            let mut ended = holders & !still;
            while ended != 0 {
                found[ended.trailing_zeros() as usize] = at as u32;
                ended &= ended - 1;
            }
            holders = still;
            if holders == 0 {
                return;
            }
        }
        while holders != 0 {
            found[holders.trailing_zeros() as usize] = blocks.len() as u32;
            holders &= holders - 1;
        }
    }

    /// Blocks at the beginning of `blocks` that a device holds.
    pub(crate) fn prefix(&self, device: usize, blocks: &[u32]) -> usize {
        let held = |block: &&u32| self.holders[**block as usize] >> device & 1 == 1;
        blocks.iter().take_while(held).count()
    }

    /// Blocks that the device holds and no request uses.
    pub(crate) fn unused(&self, device: usize) -> u64 {
        self.devices[device].unused
    }

    /// Blocks that the device holds.
    pub(crate) fn resident(&self, device: usize) -> u64 {
        self.devices[device].places.len() as u64
    }

    /// One more request uses these blocks; those that the device lacks are added. Gives how many were added.
    pub(crate) fn take(&mut self, device: usize, blocks: &[u32]) -> usize {
        let cache = &mut self.devices[device];
        let mut added = 0;
        for &block in blocks {
            if let Some(&place) = cache.places.get(&block) {
                if cache.nodes[place as usize].users == 0 {
                    cache.unlink(place);
                }
                cache.nodes[place as usize].users += 1;
            } else {
                cache.add(block);
                self.holders[block as usize] |= 1 << device;
                added += 1;
            }
        }
        added
    }

    /// One request less uses these blocks. The first is the last to be evicted: without it the others are of no use.
    pub(crate) fn release(&mut self, device: usize, blocks: &[u32]) {
        let cache = &mut self.devices[device];
        for block in blocks.iter().rev() {
            let Some(&place) = cache.places.get(block) else { continue };
            let users = &mut cache.nodes[place as usize].users;
            *users -= 1;
            if *users == 0 {
                cache.push_newest(place);
            }
        }
    }

    /// Removes up to `most` unused blocks; gives how many.
    pub(crate) fn evict(&mut self, device: usize, most: u64) -> u64 {
        let cache = &mut self.devices[device];
        let mut evicted = 0;
        while evicted < most && cache.oldest != NONE {
            let place = cache.oldest;
            cache.unlink(place);
            let block = cache.nodes[place as usize].block;
            cache.places.remove(&block);
            cache.free.push(place);
            self.holders[block as usize] &= !(1 << device);
            evicted += 1;
        }
        evicted
    }

    /// Forgets everything that a device holds.
    pub(crate) fn clear(&mut self, device: usize) {
        let cache = &mut self.devices[device];
        for &block in cache.places.keys() {
            self.holders[block as usize] &= !(1 << device);
        }
        *cache = Cache { newest: NONE, oldest: NONE, ..Cache::default() };
    }
}

impl Cache {
    fn add(&mut self, block: u32) {
        let node = Node { block, users: 1, newer: NONE, older: NONE };
        let place = if let Some(place) = self.free.pop() {
            self.nodes[place as usize] = node;
            place
        } else {
            self.nodes.push(node);
            self.nodes.len() as u32 - 1
        };
        self.places.insert(block, place);
    }

    fn push_newest(&mut self, place: u32) {
        let next = self.newest;
        let node = &mut self.nodes[place as usize];
        (node.newer, node.older) = (NONE, next);
        if next == NONE {
            self.oldest = place;
        } else {
            self.nodes[next as usize].newer = place;
        }
        self.newest = place;
        self.unused += 1;
    }

    fn unlink(&mut self, place: u32) {
        let Node { newer, older, .. } = self.nodes[place as usize];
        if newer == NONE {
            self.newest = older;
        } else {
            self.nodes[newer as usize].older = older;
        }
        if older == NONE {
            self.oldest = newer;
        } else {
            self.nodes[older as usize].newer = newer;
        }
        self.unused -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(caches: &Caches, blocks: &[u32]) -> Vec<u32> {
        let mut found = vec![9; 3];
        caches.prefixes(blocks, &mut found);
        found
    }

    #[test]
    fn the_longest_prefix_on_each_device_ends_at_the_first_block_that_it_lacks() {
        let mut caches = Caches::new(3, 10);
        caches.take(0, &[1, 2, 3]);
        caches.take(1, &[1, 5]);
        assert_eq!(prefixes(&caches, &[1, 2, 4, 3]), [2, 1, 0]);
        assert_eq!(prefixes(&caches, &[1, 2, 3]), [3, 1, 0]);
        assert_eq!(prefixes(&caches, &[]), [0, 0, 0]);
        assert_eq!((caches.prefix(0, &[1, 2, 9]), caches.prefix(2, &[1])), (2, 0));
    }

    #[test]
    fn blocks_in_use_stay_and_the_tail_of_the_oldest_prompt_goes_first() {
        let mut caches = Caches::new(1, 10);
        assert_eq!(caches.take(0, &[1, 2]), 2);
        assert_eq!(caches.take(0, &[3, 4]), 2);
        caches.release(0, &[1, 2]);
        assert_eq!((caches.evict(0, 1), caches.prefix(0, &[1, 2])), (1, 1));
        assert_eq!((caches.evict(0, 9), caches.prefix(0, &[3, 4]), caches.resident(0)), (1, 2, 2));
        caches.release(0, &[3, 4]);
        assert_eq!((caches.take(0, &[3]), caches.unused(0)), (0, 1));
        caches.clear(0);
        assert_eq!((caches.resident(0), caches.prefix(0, &[3])), (0, 0));
    }
}
