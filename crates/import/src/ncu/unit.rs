//! Units as ncu prints them, brought to one base unit each.
//!
//! ncu scales units by powers of 1000, bytes too ("byte-based units are scaled using a factor of 1000", its CLI
//! manual). So a value in a scaled unit is the value in the base unit with its decimal point moved, and moving it back
//! is exact. Base units are those of `--print-units base`, in the spelling of the newer versions: `ns` (older:
//! `nsecond`), `byte`, `byte/s` (`byte/second`), `hz` (`cycle/second`), `inst/s`; `%` stays percent.

/// A base unit, and how far the decimal point has to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// The base unit; `None` where the page prints none.
    pub(super) name: Option<String>,
    /// A printed value times ten to this power is in the base unit.
    pub(super) power: i32,
}

/// What may follow a prefix letter. Other words that begin with such a letter ("SM") are units of their own.
const SCALED: &[&str] = &["byte", "bit", "hz", "inst", "sector", "cycle", "request", "thread", "warp", "op", "flop"];

impl Unit {
    /// The base unit of a printed one. A unit that is not known is its own base.
    pub(super) fn base(printed: &str) -> Self {
        let printed = printed.trim();
        if printed.is_empty() {
            return Self { name: None, power: 0 };
        }
        let (counted, per) = printed.split_once('/').map_or((printed, None), |(counted, per)| (counted, Some(per)));
        let (mut name, mut power) = match time(counted) {
            Some(power) => ("ns".to_owned(), power),
            None => prefixed(counted),
        };
        match per.map(|per| (per, time(per))) {
            None => {}
            // A rate per nanosecond is 10^9 times that rate per second.
            Some((_, Some(time))) => {
                power += 9 - time;
                name.push_str("/s");
            }
            Some((other, None)) => {
                name.push('/');
                name.push_str(other);
            }
        }
        let name = if name == "cycle/s" { "hz".to_owned() } else { name };
        Self { name: Some(name), power }
    }
}

/// The power of ten of a time unit over a nanosecond.
fn time(unit: &str) -> Option<i32> {
    match unit {
        "ns" | "nsecond" => Some(0),
        "us" | "usecond" | "µs" => Some(3),
        "ms" | "msecond" => Some(6),
        "s" | "second" => Some(9),
        _ => None,
    }
}

fn prefixed(unit: &str) -> (String, i32) {
    for (prefix, power) in [("K", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)] {
        if let Some(rest) = unit.strip_prefix(prefix).filter(|rest| SCALED.contains(rest)) {
            return (rest.to_owned(), power);
        }
    }
    (unit.to_owned(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(printed: &str) -> (String, i32) {
        let unit = Unit::base(printed);
        (unit.name.unwrap_or_default(), unit.power)
    }

    #[test]
    fn both_spellings_of_each_unit_have_one_base() {
        for (printed, name, power) in [
            ("", "", 0),
            ("%", "%", 0),
            ("byte", "byte", 0),
            ("Kbyte", "byte", 3),
            ("Tbyte", "byte", 12),
            ("nsecond", "ns", 0),
            ("us", "ns", 3),
            ("usecond", "ns", 3),
            ("msecond", "ns", 6),
            ("second", "ns", 9),
            ("Gbyte/second", "byte/s", 9),
            ("Mbyte/s", "byte/s", 6),
            ("cycle/nsecond", "hz", 9),
            ("cycle/usecond", "hz", 6),
            ("cycle/second", "hz", 0),
            ("Ghz", "hz", 9),
            ("hz", "hz", 0),
            ("sector/nsecond", "sector/s", 9),
            ("inst/cycle", "inst/cycle", 0),
            ("Kbyte/block", "byte/block", 3),
            ("register/thread", "register/thread", 0),
        ] {
            assert_eq!(base(printed), (name.to_owned(), power), "{printed}");
        }
    }

    #[test]
    fn a_word_that_begins_like_a_prefix_is_left_alone() {
        for printed in ["SM", "Kernel", "Megatons", "sectors", "Gpc"] {
            assert_eq!(base(printed), (printed.to_owned(), 0));
        }
    }
}
