//! Parameters of a target: their documentation and the reading of their values.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::Error;

/// Value of a parameter that is decided where it is used.
pub(crate) const AUTO: &str = "auto";

/// One parameter of a target.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Name: the key of `--set name=value`.
    pub name: &'static str,
    /// Default as text; `auto` where it depends on the machine.
    pub default: &'static str,
    /// What it means, with unit and allowed values.
    pub doc: &'static str,
}

/// The values that were given to a target.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    parameters: &'static [Parameter],
    values: &'a BTreeMap<String, String>,
}

impl<'a> Given<'a> {
    /// Checks that every name is known.
    pub(crate) fn new(
        target: &'static str,
        parameters: &'static [Parameter],
        values: &'a BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let known: Vec<&'static str> = parameters.iter().map(|parameter| parameter.name).collect();
        match values.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Error::UnknownParameter { target, name: name.clone(), known }),
            None => Ok(Self { parameters, values }),
        }
    }

    /// The value as text: as given, or the default.
    pub(crate) fn text(&self, name: &'static str) -> &str {
        let default =
            || self.parameters.iter().find(|parameter| parameter.name == name).map_or("", |found| found.default);
        self.values.get(name).map_or_else(default, String::as_str)
    }

    /// Whether the user chose a value.
    pub(crate) fn has(&self, name: &'static str) -> bool {
        self.values.contains_key(name)
    }

    /// The value as a number inside `range`.
    pub(crate) fn number<T>(&self, name: &'static str, range: RangeInclusive<T>) -> Result<T, Error>
    where
        T: FromStr + PartialOrd + Display,
    {
        self.parse(name, &range).ok_or_else(|| {
            refused(name, &self.text(name), format!("a number from {} to {}", range.start(), range.end()))
        })
    }

    fn parse<T: FromStr + PartialOrd>(&self, name: &'static str, range: &RangeInclusive<T>) -> Option<T> {
        self.text(name).parse().ok().filter(|number| range.contains(number))
    }

    /// The value as a number, or `automatic` where it is `auto` or was not given.
    pub(crate) fn number_or<T>(&self, name: &'static str, range: RangeInclusive<T>, automatic: T) -> Result<T, Error>
    where
        T: FromStr + PartialOrd + Display,
    {
        if self.text(name) == "auto" {
            return Ok(automatic);
        }
        let allowed = || format!("auto, or a number from {} to {}", range.start(), range.end());
        self.parse(name, &range).ok_or_else(|| refused(name, &self.text(name), allowed()))
    }

    /// The value as one of `choices`.
    pub(crate) fn choice<T: Copy>(&self, name: &'static str, choices: &[(&str, T)]) -> Result<T, Error> {
        let value = self.text(name);
        choices.iter().find(|(text, _)| *text == value).map(|(_, choice)| *choice).ok_or_else(|| {
            let known: Vec<&str> = choices.iter().map(|(text, _)| *text).collect();
            refused(name, &value, format!("one of {}", known.join(", ")))
        })
    }
}

/// That a value is not allowed.
pub(crate) fn refused(name: &'static str, value: &dyn Display, allowed: impl Into<String>) -> Error {
    Error::Parameter { name, value: value.to_string(), allowed: allowed.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PARAMETERS: &[Parameter] = &[Parameter { name: "rows", default: "8", doc: "Rows, 1 to 9." }];

    fn given(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = Given::new("t", PARAMETERS, &given("row", "1")).expect_err("unknown").to_string();
        assert_eq!(error, "t has no parameter row (hint: it has rows)");
    }

    #[test]
    fn a_bad_value_is_refused_with_what_is_allowed() {
        for bad in ["0", "10", "x", "", "-1"] {
            let values = given("rows", bad);
            let error = Given::new("t", PARAMETERS, &values).and_then(|given| given.number("rows", 1..=9));
            assert_eq!(error.expect_err("bad").to_string(), format!("rows={bad} is not allowed: a number from 1 to 9"));
        }
        let none = BTreeMap::new();
        assert_eq!(Given::new("t", PARAMETERS, &none).and_then(|given| given.number("rows", 1..=9)).ok(), Some(8));
    }
}
