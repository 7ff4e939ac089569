//! Prompts made from the blocks of a workload.

use std::fmt::Write;
use std::ops::Range;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::Workload;

/// Makes prompts: the same block has the same tokens in every prompt of a run, and others in every other run.
#[derive(Clone, Debug)]
pub(super) struct Prompts<'a> {
    pub(super) workload: &'a Workload,
    pub(super) seed: u64,
    pub(super) nonce: u64,
    pub(super) vocabulary: Range<u32>,
}

/// Short words of everyday English: with a space in front each is one token in the vocabularies that we know of, so that a
/// text has about as many tokens as words.
const WORDS: [&str; 96] = [
    "the", "of", "and", "to", "in", "is", "you", "that", "it", "he", "was", "for", "on", "are", "as", "with", "his",
    "they", "I", "at", "be", "this", "have", "from", "or", "one", "had", "by", "word", "but", "not", "what", "all",
    "were", "we", "when", "your", "can", "said", "there", "use", "an", "each", "which", "she", "do", "how", "their",
    "if", "will", "up", "other", "about", "out", "many", "then", "them", "these", "so", "some", "her", "would", "make",
    "like", "him", "into", "time", "has", "look", "two", "more", "write", "go", "see", "number", "no", "way", "could",
    "people", "my", "than", "first", "water", "been", "call", "who", "oil", "its", "now", "find", "long", "down",
    "day", "did", "get", "come",
];

impl Prompts<'_> {
    /// Token ids of a request's prompt.
    pub(super) fn tokens(&self, number: usize) -> Vec<u32> {
        let request = &self.workload.requests[number];
        let length = request.prompt_tokens as usize;
        let mut tokens = Vec::with_capacity(length);
        for &block in self.workload.blocks_of(request) {
            let count = (self.workload.block_tokens as usize).min(length - tokens.len());
            self.add(u64::from(block), count, &mut tokens);
        }
        // What belongs to no block is nobody else's.
        self.add((1 << 40) + number as u64, length - tokens.len(), &mut tokens);
        tokens
    }

    fn add(&self, part: u64, count: usize, tokens: &mut Vec<u32>) {
        let state = [self.seed, self.nonce, part].into_iter().fold(0, |state, word| mixed(state ^ word));
        let mut random = SmallRng::seed_from_u64(state);
        tokens.extend((0..count).map(|_| random.random_range(self.vocabulary.clone())));
    }

    /// The prompt as a JSON value: ids, or as many words.
    pub(super) fn json(&self, number: usize, words: bool) -> String {
        let tokens = self.tokens(number);
        let mut json = String::with_capacity(tokens.len() * 6 + 2);
        json.push(if words { '"' } else { '[' });
        for (at, token) in tokens.iter().enumerate() {
            let gap = if at == 0 {
                ""
            } else if words {
                " "
            } else {
                ","
            };
            // Writing to a string does not fail.
            let _ = if words {
                write!(json, "{gap}{}", WORDS[*token as usize % WORDS.len()])
            } else {
                write!(json, "{gap}{token}")
            };
        }
        json.push(if words { '"' } else { ']' });
        json
    }
}

/// Spreads a number over all bits (the finalizer of SplitMix64, Steele et al. 2014).
fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    fn workload() -> Workload {
        let mut workload = Workload { block_tokens: 8, distinct_blocks: 4, ..Workload::default() };
        let request = |prompt_tokens| Request { prompt_tokens, output_tokens: 1, ..Request::default() };
        workload.push(request(20), &[0, 1]);
        workload.push(request(19), &[0, 1, 2]);
        workload.push(request(8), &[3]);
        workload.push(request(8), &[]);
        workload
    }

    #[test]
    fn prompts_share_tokens_exactly_where_they_share_blocks() {
        let workload = workload();
        let prompts = Prompts { workload: &workload, seed: 1, nonce: 0, vocabulary: 10..50 };
        let all: Vec<Vec<u32>> = (0..4).map(|number| prompts.tokens(number)).collect();
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [20, 19, 8, 8]);
        assert_eq!(all[0][..16], all[1][..16]);
        assert_ne!(all[0][16..19], all[1][16..19]);
        assert_ne!(all[2], all[3]);
        assert!(all.iter().flatten().all(|token| (10..50).contains(token)));
    }

    #[test]
    fn another_run_shares_nothing_and_the_same_run_everything() {
        let workload = workload();
        let prompts = Prompts { workload: &workload, seed: 1, nonce: 0, vocabulary: 0..1000 };
        let (again, other) = (prompts.clone(), Prompts { nonce: 1, ..prompts.clone() });
        assert_eq!(prompts.tokens(0), again.tokens(0));
        assert_ne!(prompts.tokens(0)[..8], other.tokens(0)[..8]);
        assert_ne!(prompts.tokens(0), Prompts { seed: 2, ..prompts.clone() }.tokens(0));
    }

    #[test]
    fn a_prompt_is_json_in_both_forms() {
        let workload = workload();
        let prompts = Prompts { workload: &workload, seed: 1, nonce: 0, vocabulary: 0..1000 };
        let ids: Vec<u32> = serde_json::from_str(&prompts.json(0, false)).expect("ids");
        let text: String = serde_json::from_str(&prompts.json(0, true)).expect("a text");
        assert_eq!((ids, text.split(' ').count()), (prompts.tokens(0), 20));
    }
}
