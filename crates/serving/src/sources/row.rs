//! One row of a trace, value by value.

use proftool_trace::decimal;

use super::columns::Field;
use super::date::date;
use super::read::{NO_COUNT, NO_HASHES, NO_TIME, Reason, TOO_LONG, TWICE};
use crate::Tier;

/// The longest length that is taken for one.
const MOST_TOKENS: u64 = 1 << 30;
/// Times up to here, some 146 years, can be subtracted from each other.
const MOST_NS: u64 = 1 << 62;

/// What a row states.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) arrival_ns: Option<i64>,
    pub(super) zoneless: bool,
    pub(super) prompt_tokens: Option<u32>,
    pub(super) output_tokens: Option<u32>,
    pub(super) tier: Option<Tier>,
    /// Whether it states a tier that is none.
    pub(super) odd_tier: bool,
    pub(super) tenant: Option<String>,
    pub(super) hashes: Option<Vec<u64>>,
    pub(super) block_tokens: Option<u32>,
    pub(super) prefix: Option<String>,
    pub(super) prefix_tokens: Option<u32>,
}

impl Row {
    /// Takes a value; an empty one says nothing.
    pub(super) fn set(&mut self, field: Field, text: &str) -> Result<(), &'static Reason> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        match field {
            Field::Arrival(unit) => once(&mut self.arrival_ns, near(decimal::nanoseconds(text, unit))?),
            Field::ArrivalDate => {
                let (unix_ns, zoned) = date(text).ok_or(&NO_TIME)?;
                self.zoneless = !zoned;
                once(&mut self.arrival_ns, near(Some(unix_ns))?)
            }
            Field::Prompt => once(&mut self.prompt_tokens, count(text)?),
            Field::Output => once(&mut self.output_tokens, count(text)?),
            Field::Tier => self.tier(Tier::ALL.into_iter().find(|tier| tier.name().eq_ignore_ascii_case(text))),
            Field::Priority if self.tier.is_some() => Ok(()),
            Field::Priority => self.tier(whole(text).map(|level| Tier::ALL[level.min(2) as usize])),
            Field::Tenant => once(&mut self.tenant, text.to_owned()),
            Field::Hashes => once(&mut self.hashes, hashes(text).ok_or(&NO_HASHES)?),
            Field::BlockTokens => once(&mut self.block_tokens, count(text)?),
            Field::Prefix => once(&mut self.prefix, text.to_owned()),
            Field::PrefixTokens => once(&mut self.prefix_tokens, count(text)?),
            Field::Elsewhere => Ok(()),
        }
    }

    /// A stated tier wins over a priority, wherever it stands.
    #[expect(clippy::unnecessary_wraps, reason = "as the other values")]
    fn tier(&mut self, tier: Option<Tier>) -> Result<(), &'static Reason> {
        self.odd_tier = tier.is_none();
        self.tier = tier.or(self.tier);
        Ok(())
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), &'static Reason> {
    if place.replace(value).is_some() { Err(&TWICE) } else { Ok(()) }
}

fn near(time_ns: Option<i64>) -> Result<i64, &'static Reason> {
    time_ns.filter(|time_ns| time_ns.unsigned_abs() <= MOST_NS).ok_or(&NO_TIME)
}

/// A whole number from 0 on.
fn whole(text: &str) -> Option<u64> {
    decimal::whole(text).and_then(|number| u64::try_from(number).ok())
}

fn count(text: &str) -> Result<u32, &'static Reason> {
    let count = whole(text).ok_or(&NO_COUNT)?;
    if count > MOST_TOKENS { Err(&TOO_LONG) } else { Ok(count as u32) }
}

/// `[1, 2]`, or numbers separated by spaces or semicolons; as two's complement where they are negative.
fn hashes(text: &str) -> Option<Vec<u64>> {
    let list = text.trim_start_matches('[').trim_end_matches(']');
    let parts = list.split([',', ';', ' ']).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok().or_else(|| part.parse::<i64>().ok().map(i64::cast_unsigned))).collect()
}

#[cfg(test)]
mod tests {
    use proftool_trace::decimal::Unit;

    use super::*;

    #[test]
    fn values_are_taken_once_and_checked() {
        let mut row = Row::default();
        row.set(Field::Arrival(Unit::Ms), "12.5").expect("a time");
        row.set(Field::Prompt, " 44.0 ").expect("a count");
        row.set(Field::Output, "").expect("nothing");
        row.set(Field::Hashes, "[1, -1;3]").expect("hashes");
        assert_eq!((row.arrival_ns, row.prompt_tokens, row.output_tokens), (Some(12_500_000), Some(44), None));
        assert_eq!(row.hashes, Some(vec![1, u64::MAX, 3]));
        let code = |row: &mut Row, field, text| format!("{:?}", row.set(field, text).expect_err("refused"));
        assert!(code(&mut row, Field::Prompt, "5").contains("ambiguous_value"));
        assert!(code(&mut row, Field::Output, "-5").contains("bad_count"));
        assert!(code(&mut row, Field::Output, "4e9").contains("too_long"));
        assert!(code(&mut row, Field::ArrivalDate, "5").contains("bad_time"));
        assert!(code(&mut Row::default(), Field::Arrival(Unit::S), "9e9").contains("bad_time"));
        assert!(code(&mut Row::default(), Field::Hashes, "a").contains("bad_hashes"));
    }

    #[test]
    fn a_tier_wins_over_a_priority_on_either_side() {
        for order in [[(Field::Tier, "Free"), (Field::Priority, "0")], [(Field::Priority, "0"), (Field::Tier, "Free")]]
        {
            let mut row = Row::default();
            for (field, text) in order {
                row.set(field, text).expect("taken");
            }
            assert_eq!((row.tier, row.odd_tier), (Some(Tier::Free), false));
        }
        let mut row = Row::default();
        row.set(Field::Priority, "-1").expect("counted");
        assert!(row.tier.is_none() && row.odd_tier);
    }
}
