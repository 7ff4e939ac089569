//! Globs of one sign: `*` stands for any text, everything else for itself.

/// Whether the whole text matches. Time is at most the product of the lengths, whatever the stars.
pub(crate) fn matches(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where the last star stood, and how much of the text it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        if glob.get(at) == Some(&b'*') {
            star = Some((at, seen));
            at += 1;
        } else if glob.get(at) == Some(&text[seen]) {
            (at, seen) = (at + 1, seen + 1);
        } else if let Some((place, taken)) = star {
            star = Some((place, taken + 1));
            (at, seen) = (place + 1, taken + 1);
        } else {
            return false;
        }
    }
    glob[at..].iter().all(|sign| *sign == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, letter by letter.
    fn brute(glob: &[u8], text: &[u8]) -> bool {
        match glob {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|taken| brute(rest, &text[taken..])),
            [letter, rest @ ..] => text.first() == Some(letter) && brute(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_what_its_definition_matches(glob in "[ab*]{0,6}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(&glob, &text), brute(glob.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn a_star_at_either_end_makes_a_glob_a_prefix_a_suffix_or_a_part() {
        assert!(matches("nccl*", "ncclDevKernel") && !matches("nccl*", "my_nccl"));
        assert!(matches("*_1stage", "reduce_1stage") && matches("*all*", "one_all_two"));
        assert!(matches("exact", "exact") && !matches("exact", "exact_not") && !matches("", "a"));
    }
}
