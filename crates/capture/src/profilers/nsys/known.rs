//! Which words of the command line a version of nsys knows.

use std::collections::BTreeSet;

use super::version::{OLDEST, Version};

/// Options and values of `nsys profile` with the first version that is known to take them.
///
/// A version may have had one earlier: each line gives the oldest document that was read. Where the tool itself can be
/// asked ([`Known::from_help`]), its answer counts instead.
pub const SINCE: &[(&str, Version)] = &[
    // User guide of 2022.4.1 (Debian ships it), which marks none of these as new; the guide of 2021.4 has them too.
    ("--output", OLDEST),
    ("--force-overwrite", OLDEST),
    ("--session-new", OLDEST),
    ("--trace", OLDEST),
    ("--sample", OLDEST),
    ("--cpuctxsw", OLDEST),
    ("--trace-fork-before-exec", OLDEST),
    ("--wait", OLDEST),
    ("--kill", OLDEST),
    ("--stats", OLDEST),
    ("--export", OLDEST),
    ("--delay", OLDEST),
    ("--duration", OLDEST),
    ("--env-var", OLDEST),
    ("--capture-range", OLDEST),
    ("--capture-range-end", OLDEST),
    ("--nvtx-capture", OLDEST),
    ("--gpu-metrics-frequency", OLDEST),
    ("cuda", OLDEST),
    ("nvtx", OLDEST),
    ("osrt", OLDEST),
    ("cublas", OLDEST),
    ("cudnn", OLDEST),
    ("mpi", OLDEST),
    ("ucx", OLDEST),
    // Release notes of 2022.4.1, "What's New": "CUDA graph graph-level trace support". Before it nodes were all there
    // was, so leaving the option out means the same.
    ("--cuda-graph-trace", Version::of(2022, 4)),
    // The same list: "NVIDIA NIC metrics sampling".
    ("--nic-metrics", Version::of(2022, 4)),
    // Plural, and with the value `cuda-visible`: in use with 2024.5 and later; 2026.1 still takes the singular and warns
    // ("'--gpu-metrics-device' is deprecated. Use '--gpu-metrics-devices' instead."). The guide of 2022.4.1 has the
    // singular only, so it serves for everything between.
    ("--gpu-metrics-devices", Version::of(2024, 5)),
    ("cuda-visible", Version::of(2024, 5)),
];

/// The words that one installation takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    words: BTreeSet<&'static str>,
}

impl Known {
    /// By the table, for a version that is at least [`OLDEST`].
    pub fn from_version(version: Version) -> Self {
        Known { words: SINCE.iter().filter(|(_, since)| version >= *since).map(|(word, _)| *word).collect() }
    }

    /// By what `nsys profile --help` prints; `None` where that is no such text.
    ///
    /// An option is known if its name stands there, a value if it stands there in quotes.
    pub fn from_help(help: &str) -> Option<Self> {
        let words: BTreeSet<&str> = help
            .split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '=' | '[' | ']' | '(' | ')' | '"'))
            .map(|word| word.trim_end_matches(['.', ';', ':']))
            .collect();
        let listed = |word: &str| words.contains(word) || words.contains(format!("'{word}'").as_str());
        let known: BTreeSet<&'static str> = SINCE.iter().map(|(word, _)| *word).filter(|word| listed(word)).collect();
        // Without these it is an error message or another program's text.
        let plausible = ["--output", "--trace", "cuda"].iter().all(|word| known.contains(word));
        plausible.then_some(Known { words: known })
    }

    /// Whether the installation takes the word.
    pub fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_know_more_and_nothing_is_forgotten() {
        let of = |year, release| Known::from_version(Version::of(year, release));
        assert!(!of(2022, 1).has("--cuda-graph-trace"));
        assert!(of(2022, 4).has("--cuda-graph-trace"));
        assert!(!of(2024, 4).has("--gpu-metrics-devices"));
        assert!(of(2024, 5).has("--gpu-metrics-devices"));
        assert_eq!(of(2026, 9).words.len(), SINCE.len());
    }

    #[test]
    fn what_the_tool_says_of_itself_counts() {
        let help = "usage: nsys profile [<args>]\n  -o, --output=\n  -t, --trace=\n Possible values are 'cuda', 'nvtx' or 'none'.\n";
        let known = Known::from_help(help).expect("it lists options");
        assert!(known.has("nvtx") && !known.has("mpi") && !known.has("--kill"));
        assert_eq!(Known::from_help("nsys: error while loading shared libraries"), None);
        assert_eq!(Known::from_help(""), None);
    }
}
