//! Many workloads out of one recorded trace.

use hashbrown::HashMap;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::{Request, Workload};

/// A block that more than this share of the requests begin with (but at least [`COMMON_LEAST`]) belongs to nobody: the system prompt.
const COMMON_RATIO: f64 = 0.01;
const COMMON_LEAST: u32 = 20;

/// The requests of the first half of the time and those of the second, each from 0 on.
pub fn halves(workload: &Workload) -> [Workload; 2] {
    let start_ns = workload.requests.first().map_or(0, |request| request.arrival_ns);
    let middle_ns = start_ns + workload.span_ns() / 2;
    let part = |from_ns: i64, to_ns: i64| {
        let mut part = empty(workload);
        for request in workload.requests.iter().filter(|request| (from_ns..to_ns).contains(&request.arrival_ns)) {
            part.push(Request { arrival_ns: request.arrival_ns - from_ns, ..*request }, workload.blocks_of(request));
        }
        part.distinct_blocks = workload.distinct_blocks;
        part
    };
    [part(start_ns, middle_ns), part(middle_ns, i64::MAX)]
}

/// A bootstrap of sessions: as many sessions as there are, drawn with replacement, each with all its requests at their own
/// times. A session is the requests that share a block beyond what everybody's prompts begin with; without blocks each
/// request is one. The blocks of a session that is drawn again are renamed (but not those of everybody), so that it shares
/// no more than two other sessions would. Every request is then moved by up to `within_ns`: the resolution of the trace's times
/// or less, so that bursts longer than that stay what they are.
pub fn resample(workload: &Workload, within_ns: i64, seed: u64) -> Workload {
    let mut random = SmallRng::seed_from_u64(seed);
    let uses = uses(workload);
    let common = ((workload.requests.len() as f64 * COMMON_RATIO) as u32).max(COMMON_LEAST);
    let sessions = sessions(workload, &uses, common);
    let mut drawn = vec![0_u32; sessions.len()];
    (0..sessions.len()).for_each(|_| drawn[random.random_range(0..sessions.len())] += 1);
    let mut new = empty(workload);
    new.distinct_blocks = workload.distinct_blocks;
    let mut blocks = Vec::new();
    for (session, &copies) in sessions.iter().zip(&drawn) {
        for copy in 0..copies {
            let mut names: HashMap<u32, u32> = HashMap::new();
            for &number in session {
                let request = &workload.requests[number as usize];
                blocks.clear();
                blocks.extend_from_slice(workload.blocks_of(request));
                for block in blocks.iter_mut().filter(|block| copy > 0 && uses[**block as usize] <= common) {
                    *block = *names.entry(*block).or_insert_with(|| {
                        new.distinct_blocks += 1;
                        new.distinct_blocks - 1
                    });
                }
                let moved_ns = if within_ns > 0 { random.random_range(0..within_ns) } else { 0 };
                new.push(Request { arrival_ns: request.arrival_ns + moved_ns, ..*request }, &blocks);
            }
        }
    }
    new.sort();
    new
}

fn empty(workload: &Workload) -> Workload {
    Workload { name: workload.name.clone(), block_tokens: workload.block_tokens, ..Workload::default() }
}

/// How many requests each block is in.
fn uses(workload: &Workload) -> Vec<u32> {
    let mut uses = vec![0; workload.distinct_blocks as usize];
    workload.blocks.iter().for_each(|&block| uses[block as usize] += 1);
    uses
}

/// Requests by session, in the order of their first ones.
fn sessions(workload: &Workload, uses: &[u32], common: u32) -> Vec<Vec<u32>> {
    let mut sessions: Vec<Vec<u32>> = Vec::new();
    let mut found: HashMap<u32, usize> = HashMap::new();
    for (number, request) in workload.requests.iter().enumerate() {
        // A block stands for all before it: requests that share one share their session's first.
        let first = workload.blocks_of(request).iter().find(|&&block| uses[block as usize] <= common);
        let at = first.map_or(sessions.len(), |&block| *found.entry(block).or_insert(sessions.len()));
        if at == sessions.len() {
            sessions.push(Vec::new());
        }
        sessions[at].push(number as u32);
    }
    sessions
}

#[cfg(test)]
mod tests {
    use super::*;
    use hashbrown::HashSet;

    /// 60 sessions of three turns behind a common block; each turn has a block more.
    fn chat() -> Workload {
        let mut workload = Workload { block_tokens: 16, distinct_blocks: 1 + 180, ..Workload::default() };
        for turn in 0..3_u32 {
            for session in 0..60_u32 {
                let own = (0..=turn).map(|at| 1 + session * 3 + at);
                let blocks: Vec<u32> = std::iter::once(0).chain(own).collect();
                let arrival_ns = i64::from(turn * 1000 + session);
                let request = Request { arrival_ns, prompt_tokens: 64, output_tokens: 2, ..Request::default() };
                workload.push(request, &blocks);
            }
        }
        workload.sort();
        workload
    }

    #[test]
    fn halves_have_every_request_once_and_begin_at_0() {
        let workload = chat();
        let [first, second] = halves(&workload);
        // The span is 2059: turn 0, and the first 29 of turn 1.
        assert_eq!((first.requests.len(), second.requests.len()), (89, 91));
        assert_eq!(second.requests[0].arrival_ns, 0);
        assert_eq!(second.blocks_of(&second.requests[0]), workload.blocks_of(&workload.requests[89]));
    }

    #[test]
    fn drawn_sessions_keep_their_turns_and_share_nothing_with_their_copies() {
        let workload = chat();
        let drawn = resample(&workload, 0, 3);
        assert_eq!(drawn.requests.len() % 3, 0);
        let mut turns: HashMap<u32, Vec<(i64, usize)>> = HashMap::new();
        for request in &drawn.requests {
            let blocks = drawn.blocks_of(request);
            assert_eq!(blocks[0], 0);
            turns.entry(blocks[1]).or_default().push((request.arrival_ns / 1000, blocks.len()));
        }
        assert_eq!(turns.len(), 60);
        assert!(turns.values().all(|turns| turns[..] == [(0, 2), (1, 3), (2, 4)]));
        let blocks: HashSet<u32> = drawn.blocks.iter().copied().collect();
        assert_eq!(blocks.iter().max().map(|&block| block + 1), Some(drawn.distinct_blocks));
        // About e^-1 of the sessions are not drawn.
        let kept = turns.keys().filter(|&&block| block < 181).count();
        assert!((30..46).contains(&kept), "{kept}");
    }

    #[test]
    fn a_seed_gives_the_same_requests_and_another_gives_others() {
        let workload = chat();
        let requests = |seed| resample(&workload, 50, seed).requests;
        assert_eq!(requests(1), requests(1));
        assert_ne!(requests(1), requests(2));
        assert!(requests(1).windows(2).all(|pair| pair[0].arrival_ns <= pair[1].arrival_ns));
        assert!(resample(&Workload::default(), 5, 1).requests.is_empty());
    }
}
