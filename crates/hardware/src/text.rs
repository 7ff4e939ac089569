//! Small readers of the text files under `/proc` and `/sys`.

use std::fs;
use std::path::Path;

/// The trimmed content of a file, or none where it cannot be read or is empty.
pub(crate) fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The value after `key` and a colon or an equals sign in the first line that begins with `key`.
pub(crate) fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(key)?.trim_start();
        rest.strip_prefix([':', '=']).map(str::trim)
    })
}

/// A list of numbers as the kernel writes it: `0-3,8,10-11`. Parts that are not numbers are skipped.
pub(crate) fn cpu_list(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// A size as the kernel writes it: `32K`, `105M`, or plain bytes.
pub(crate) fn size_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let scale = match text[digits.len()..].chars().next() {
        None => 1,
        Some('K' | 'k') => 1 << 10,
        Some('M') => 1 << 20,
        Some('G') => 1 << 30,
        Some(_) => return None,
    };
    digits.parse::<u64>().ok().map(|number| number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_sizes_read_as_the_kernel_writes_them() {
        assert_eq!(cpu_list("0-3,8,10-11"), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(cpu_list(""), [0_usize; 0]);
        assert_eq!(
            (size_bytes("32K"), size_bytes("105M"), size_bytes("7")),
            (Some(32 << 10), Some(105 << 20), Some(7))
        );
        assert_eq!((size_bytes("32X"), size_bytes("")), (None, None));
    }

    #[test]
    fn a_field_is_not_found_by_a_longer_key() {
        let text = "model\t\t: 1\nmodel name\t: AMD EPYC\nPRETTY=\"x\"";
        assert_eq!(field(text, "model"), Some("1"));
        assert_eq!(field(text, "model name"), Some("AMD EPYC"));
        assert_eq!(field(text, "absent"), None);
    }
}
