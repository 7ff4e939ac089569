//! What arrives: requests in order of time.

/// Requests with the blocks of their prompts.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// Where it comes from: a trace's name or a scenario.
    pub name: String,
    /// Tokens of a prefix block; the last block of a prompt may hold fewer.
    pub block_tokens: u32,
    /// By arrival.
    pub requests: Vec<Request>,
    /// The blocks of all prompts, one request after the other. A number stands for a block *and all before it*: prompts that
    /// share a number share everything up to there. Numbers are dense, from 0.
    pub blocks: Vec<u32>,
    /// One more than the largest number in `blocks`.
    pub distinct_blocks: u32,
}

/// One request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// When it arrives, from the start of the workload.
    pub arrival_ns: i64,
    /// Prompt length, at least 1.
    pub prompt_tokens: u32,
    /// Output length, at least 1.
    pub output_tokens: u32,
    /// Its first block in [`Workload::blocks`].
    pub first_block: u64,
    /// How many it has; 0 where the source knows no prefixes.
    pub block_count: u32,
    /// Service tier.
    pub tier: Tier,
    /// Who sent it.
    pub tenant: u16,
}

/// Service tier, the best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Served before the others, with capacity kept free for it.
    Premium,
    /// The usual.
    #[default]
    Standard,
    /// Served with what is left.
    Free,
}

impl Tier {
    /// All tiers.
    pub const ALL: [Self; 3] = [Self::Premium, Self::Standard, Self::Free];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Premium => "premium",
            Self::Standard => "standard",
            Self::Free => "free",
        }
    }
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slo {
    /// Time to the first token, at most.
    pub ttft_ns: i64,
    /// Time per output token after the first, at most.
    pub tpot_ns: i64,
}

impl Workload {
    /// The blocks of a request's prompt.
    pub fn blocks_of(&self, request: &Request) -> &[u32] {
        let first = request.first_block as usize;
        &self.blocks[first..first + request.block_count as usize]
    }

    /// Adds a request whose blocks are given; requests are sorted by [`Workload::sort`] at the end.
    pub fn push(&mut self, request: Request, blocks: &[u32]) {
        let first_block = self.blocks.len() as u64;
        self.blocks.extend_from_slice(blocks);
        self.requests.push(Request { first_block, block_count: blocks.len() as u32, ..request });
    }

    /// Puts requests in order of arrival, those of one moment as they were added.
    pub fn sort(&mut self) {
        self.requests.sort_by_key(|request| request.arrival_ns);
    }

    /// Makes requests arrive `load` times as fast.
    pub fn scale(&mut self, load: f64) {
        for request in &mut self.requests {
            request.arrival_ns = (request.arrival_ns as f64 / load) as i64;
        }
    }

    /// Moves all arrivals so that the earliest is at 0.
    pub fn start_at_zero(&mut self) {
        let first_ns = self.requests.iter().map(|request| request.arrival_ns).min().unwrap_or_default();
        self.requests.iter_mut().for_each(|request| request.arrival_ns -= first_ns);
    }

    /// Keeps what arrives in `[from_ns, until_ns)`; that window then starts at 0.
    pub fn window(&mut self, from_ns: i64, until_ns: i64) {
        self.requests.retain(|request| (from_ns..until_ns).contains(&request.arrival_ns));
        self.requests.iter_mut().for_each(|request| request.arrival_ns -= from_ns);
    }

    /// From `at_ns` on, requests arrive `factor` times as fast: a step of the load.
    pub fn step(&mut self, at_ns: i64, factor: f64) {
        for request in self.requests.iter_mut().filter(|request| request.arrival_ns > at_ns) {
            request.arrival_ns = at_ns + ((request.arrival_ns - at_ns) as f64 / factor) as i64;
        }
    }

    /// Time from the first arrival to the last.
    pub fn span_ns(&self) -> i64 {
        let ends = self.requests.first().zip(self.requests.last());
        ends.map_or(0, |(first, last)| last.arrival_ns - first.arrival_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(workload: &Workload) -> Vec<i64> {
        workload.requests.iter().map(|request| request.arrival_ns).collect()
    }

    fn workload(arrivals: &[i64]) -> Workload {
        let request = |&arrival_ns: &i64| Request { arrival_ns, ..Request::default() };
        Workload { requests: arrivals.iter().map(request).collect(), ..Workload::default() }
    }

    #[test]
    fn a_window_starts_at_zero_and_ends_before_its_end() {
        let mut all = workload(&[0, 10, 15, 20]);
        all.window(10, 20);
        assert_eq!(arrivals(&all), [0, 5]);
        let mut late = workload(&[-7, 3]);
        late.start_at_zero();
        assert_eq!(arrivals(&late), [0, 10]);
    }

    #[test]
    fn after_a_step_requests_come_faster_in_the_same_order() {
        let mut all = workload(&[0, 10, 20, 40]);
        all.step(10, 2.0);
        assert_eq!(arrivals(&all), [0, 10, 15, 25]);
    }
}
