//! Rows to a workload: dense numbers for blocks and tenants, order of time, counts of what was left out.

use hashbrown::HashMap;

use super::read::{
    self, Error, Issues, NEGATIVE, NO_ARRIVAL, NO_LENGTH, NO_OUTPUT, NO_PROMPT, NO_TIER, OTHER_BLOCK, Read, Reason,
    TENANTS, UNSORTED, ZERO_OUTPUT, ZERO_PROMPT, ZONELESS,
};
use super::row::Row;
use crate::{Request, Workload};

/// Tokens of a hash block where the trace does not say: those of Mooncake's traces (its README).
const HASH_BLOCK: u32 = 512;
/// Tokens of a block where the trace knows no hashes: the default of vLLM.
const BLOCK: u32 = 16;
/// Blocks of one prompt that no other shares, at most: a million tokens. They only fill caches.
const FRESH_BLOCKS: u32 = 65_536;

/// A workload in the making.
#[derive(Default)]
pub(super) struct Builder {
    workload: Workload,
    issues: Issues,
    /// Block size, once a row has needed it.
    block_tokens: Option<u32>,
    next_block: u32,
    hashes: HashMap<u64, u32>,
    /// Blocks of each prefix, as many as its longest use has.
    prefixes: HashMap<String, Vec<u32>>,
    tenants: HashMap<String, u16>,
    latest_ns: i64,
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        let workload = Workload { name: name.to_owned(), ..Workload::default() };
        Self { workload, latest_ns: i64::MIN, ..Self::default() }
    }

    /// Adds a row, or counts why it cannot be served.
    pub(super) fn take(&mut self, row: &Row, line: u64) {
        let (arrival_ns, prompt_tokens, output_tokens) = match lengths(row) {
            Ok(lengths) => lengths,
            Err(reason) => return self.left_out(reason, line),
        };
        let blocks = self.blocks(row, prompt_tokens, line);
        let tenant = row.tenant.as_ref().map_or(0, |name| self.tenant(name, line));
        let mut note = |wrong: bool, reason| wrong.then(|| self.issues.add(reason, line));
        note(arrival_ns < self.latest_ns, &UNSORTED);
        note(arrival_ns < 0, &NEGATIVE);
        note(row.zoneless, &ZONELESS);
        note(row.odd_tier && row.tier.is_none(), &NO_TIER);
        self.latest_ns = self.latest_ns.max(arrival_ns);
        let tier = row.tier.unwrap_or_default();
        let request = Request { arrival_ns, prompt_tokens, output_tokens, tier, tenant, ..Request::default() };
        self.workload.push(request, &blocks);
    }

    /// Counts a row that cannot be served.
    pub(super) fn left_out(&mut self, reason: &Reason, line: u64) {
        self.issues.add(reason, line);
    }

    /// Names columns that nothing is known about.
    pub(super) fn unknown(&mut self, names: &[String]) {
        self.issues.unknown(names);
    }

    /// The blocks of a prompt: by the trace's hashes, or those of its prefix and as many of its own as it has beside.
    fn blocks(&mut self, row: &Row, prompt_tokens: u32, line: u64) -> Vec<u32> {
        let size = row.block_tokens.filter(|&tokens| tokens > 0);
        if let Some(hashes) = &row.hashes {
            return if self.fits(size, HASH_BLOCK, line) { self.hashed(hashes) } else { Vec::new() };
        }
        let Some(prefix) = &row.prefix else { return Vec::new() };
        let Some(shared) = row.prefix_tokens else {
            self.issues.add(&NO_LENGTH, line);
            return Vec::new();
        };
        if !self.fits(size, BLOCK, line) {
            return Vec::new();
        }
        let tokens = self.block_tokens.unwrap_or(BLOCK);
        let shared = (shared.min(prompt_tokens) / tokens).min(FRESH_BLOCKS) as usize;
        let fresh = (prompt_tokens / tokens).min(FRESH_BLOCKS).saturating_sub(shared as u32);
        let known = self.prefixes.entry_ref(prefix.as_str()).or_default();
        while known.len() < shared {
            known.push(number(&mut self.next_block));
        }
        let mut blocks = known[..shared].to_vec();
        blocks.extend((0..fresh).map(|_| number(&mut self.next_block)));
        blocks
    }

    /// Whether blocks have the size that the first ones have.
    fn fits(&mut self, stated: Option<u32>, usual: u32, line: u64) -> bool {
        let first = *self.block_tokens.get_or_insert(stated.unwrap_or(usual));
        let fits = stated.is_none_or(|stated| stated == first);
        if !fits {
            self.issues.add(&OTHER_BLOCK, line);
        }
        fits
    }

    fn hashed(&mut self, hashes: &[u64]) -> Vec<u32> {
        let next = &mut self.next_block;
        hashes.iter().map(|&hash| *self.hashes.entry(hash).or_insert_with(|| number(next))).collect()
    }

    fn tenant(&mut self, name: &str, line: u64) -> u16 {
        if let Some(&tenant) = self.tenants.get(name) {
            return tenant;
        }
        if self.tenants.len() >= usize::from(u16::MAX) {
            self.issues.add(&TENANTS, line);
            return u16::MAX;
        }
        let tenant = self.tenants.len() as u16;
        self.tenants.insert(name.to_owned(), tenant);
        tenant
    }

    /// The workload in order of time, its first arrival at 0.
    ///
    /// # Errors
    /// Where no row can be served.
    pub(super) fn finish(mut self) -> Result<Read, Error> {
        if self.workload.requests.is_empty() {
            return Err(Error::Nothing { name: self.workload.name, what: self.issues.words() });
        }
        self.workload.block_tokens = self.block_tokens.unwrap_or(BLOCK);
        self.workload.distinct_blocks = self.next_block;
        self.workload.sort();
        self.workload.start_at_zero();
        Ok(read::Read { workload: self.workload, issues: self.issues.sorted() })
    }
}

fn lengths(row: &Row) -> Result<(i64, u32, u32), &'static Reason> {
    let arrival_ns = row.arrival_ns.ok_or(&NO_ARRIVAL)?;
    match (row.prompt_tokens, row.output_tokens) {
        (None, _) => Err(&NO_PROMPT),
        (_, None) => Err(&NO_OUTPUT),
        (Some(0), _) => Err(&ZERO_PROMPT),
        (_, Some(0)) => Err(&ZERO_OUTPUT),
        (Some(prompt), Some(output)) => Ok((arrival_ns, prompt, output)),
    }
}

fn number(next: &mut u32) -> u32 {
    let number = *next;
    *next += 1;
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_share_the_blocks_of_their_prefix_and_no_others() {
        let mut builder = Builder::new("t");
        for (prefix, shared, prompt) in [("a", 40, 64), ("b", 16, 16), ("a", 64, 80)] {
            let row = Row {
                arrival_ns: Some(0),
                prompt_tokens: Some(prompt),
                output_tokens: Some(1),
                prefix: Some(prefix.to_owned()),
                prefix_tokens: Some(shared),
                ..Row::default()
            };
            builder.take(&row, 1);
        }
        let workload = builder.finish().expect("requests").workload;
        let blocks: Vec<&[u32]> = workload.requests.iter().map(|request| workload.blocks_of(request)).collect();
        // 2 shared and 2 own; 1 shared; the same 2, 2 more of the prefix and 1 own.
        assert_eq!(blocks, [&[0, 1, 2, 3][..], &[4], &[0, 1, 5, 6, 7]]);
        assert_eq!((workload.block_tokens, workload.distinct_blocks), (16, 8));
    }
}
