//! Values of JSON logs as programs really write them, and errors that say where.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use crate::Error;
use crate::raw::Source;

/// The error of a JSON document or, where `line` is known, of a line of JSON.
pub(crate) fn error(source: &Source, line: Option<u64>, error: serde_json::Error) -> Error {
    let place = match line {
        Some(line) => format!("line {line}, column {}", error.column()),
        None => format!("line {}, column {}", error.line(), error.column()),
    };
    let text = error.to_string();
    let reason = text.rfind(" at line ").map_or(text.as_str(), |at| &text[..at]);
    match error.classify() {
        Category::Io => source.io(error.into()),
        Category::Eof => source.damaged(place, "it ends inside a JSON value", "copy or export it again"),
        Category::Syntax => source.damaged(place, format!("invalid JSON, {reason}"), "export it again"),
        Category::Data => source.damaged(place, reason, "this is not what the tool writes; export it again"),
    }
}

macro_rules! absent {
    ($($method:ident($kind:ty)),*) => {$(
        fn $method<E: de::Error>(self, _: $kind) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    )*};
}

/// Skips what is no scalar.
macro_rules! skip_compound {
    () => {
        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

/// A whole number of 64 bits; nothing for any other value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Whole(pub(crate) Option<i64>);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWhole;
        impl<'de> Visitor<'de> for AsWhole {
            type Value = Whole;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a whole number")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Whole, E> {
                Ok(Whole(Some(value)))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Whole, E> {
                Ok(Whole(i64::try_from(value).ok()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Whole, E> {
                let whole = value.fract() == 0.0 && value.abs() < 9e15;
                Ok(Whole(whole.then_some(value as i64)))
            }

            absent!(visit_bool(bool), visit_str(&str));
            skip_compound!();
        }
        deserializer.deserialize_any(AsWhole)
    }
}

/// A finite number of seconds as nanoseconds, rounded; nothing for any other value. Python prints a float with the
/// digits that it has, so that the nanoseconds of a clock below 10^6 s come back exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Seconds(pub(crate) Option<i64>);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsSeconds;
        impl<'de> Visitor<'de> for AsSeconds {
            type Value = Seconds;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("seconds")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Seconds, E> {
                Ok(Seconds(value.checked_mul(1_000_000_000)))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Seconds, E> {
                Ok(Seconds(i64::try_from(value).ok().and_then(|value| value.checked_mul(1_000_000_000))))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Seconds, E> {
                let ns = (value * 1e9).round();
                Ok(Seconds((ns.abs() < 9.2e18).then_some(ns as i64)))
            }

            absent!(visit_bool(bool), visit_str(&str));
            skip_compound!();
        }
        deserializer.deserialize_any(AsSeconds)
    }
}

/// Whether there is anything in a value: text, a list or an object that is not empty. Nothing of it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Filled(pub(crate) bool);

impl<'de> Deserialize<'de> for Filled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsFilled;
        impl<'de> Visitor<'de> for AsFilled {
            type Value = Filled;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("any value")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Filled, E> {
                Ok(Filled(!value.is_empty()))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Filled, E> {
                Ok(Filled(true))
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Filled, E> {
                Ok(Filled(true))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Filled, E> {
                Ok(Filled(false))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Filled, A::Error> {
                let mut filled = false;
                while items.next_element::<IgnoredAny>()?.is_some() {
                    filled = true;
                }
                Ok(Filled(filled))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Filled, A::Error> {
                let mut filled = false;
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    filled = true;
                }
                Ok(Filled(filled))
            }

            absent!(visit_bool(bool), visit_f64(f64));
        }
        deserializer.deserialize_any(AsFilled)
    }
}

/// What remains of an error text (see [`super::log::reason`]); nothing for an empty one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reason(pub(crate) Option<String>);

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsReason;
        impl<'de> Visitor<'de> for AsReason {
            type Value = Reason;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an error text")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Reason, E> {
                Ok(Reason(super::log::reason(value)))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Reason, E> {
                Ok(Reason(Some(value.to_string())))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Reason, E> {
                Ok(Reason(Some(value.to_string())))
            }

            absent!(visit_bool(bool), visit_f64(f64));
            skip_compound!();
        }
        deserializer.deserialize_any(AsReason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(text: &str) -> T {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn any_value_is_read_and_only_fitting_ones_are_kept() {
        assert_eq!(
            read::<Vec<Whole>>(r#"[3, -2, 4.0, 4.5, "7", null, true, [1], {"a": 1}, 18446744073709551615]"#),
            [
                Whole(Some(3)),
                Whole(Some(-2)),
                Whole(Some(4)),
                Whole(None),
                Whole(None),
                Whole(None),
                Whole(None),
                Whole(None),
                Whole(None),
                Whole(None)
            ]
        );
        assert_eq!(
            read::<Vec<Seconds>>(r#"[1, 0.048123457, 123456.123456789, 1e300, null, ""]"#),
            [
                Seconds(Some(1_000_000_000)),
                Seconds(Some(48_123_457)),
                Seconds(Some(123_456_123_456_789)),
                Seconds(None),
                Seconds(None),
                Seconds(None)
            ]
        );
        let filled = read::<Vec<Filled>>(r#"["", "a", [], [0], {}, {"a": 0}, null, 1]"#);
        let filled: Vec<bool> = filled.iter().map(|filled| filled.0).collect();
        assert_eq!(filled, [false, true, false, true, false, true, false, true]);
        assert_eq!(
            read::<Vec<Reason>>(r#"["", "a\nb", 404, null]"#),
            [Reason(None), Reason(Some("b".to_owned())), Reason(Some("404".to_owned())), Reason(None)]
        );
    }
}
