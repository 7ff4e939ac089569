//! Values of arguments, parsed and checked one by one.

use std::fmt;

/// A step of the load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) factor: f64,
    pub(super) at_ns: i64,
}

/// A device that fails, and may come back.
#[derive(Clone, Debug)]
pub(super) struct Fail {
    pub(super) device: String,
    pub(super) at_ns: i64,
    pub(super) until_ns: Option<i64>,
}

/// As it is given: `2@40`.
impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.factor, self.at_ns as f64 / 1e9)
    }
}

/// As it is given: `3@60:70`.
impl fmt::Display for Fail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.device, self.at_ns as f64 / 1e9)?;
        self.until_ns.map_or(Ok(()), |until_ns| write!(formatter, ":{}", until_ns as f64 / 1e9))
    }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number > 0.0 && number <= 1e9 { Ok(number) } else { Err("not a number above 0 and up to 10^9".to_owned()) }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim().parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("not a share from 0 to 1".to_owned()) }
}

/// A share of which something is asked for.
pub(super) fn some(text: &str) -> Result<f64, String> {
    share(text).ok().filter(|&share| share > 0.0).ok_or_else(|| "not a share above 0 and up to 1".to_owned())
}

pub(super) fn shares(text: &str) -> Result<(f64, f64), String> {
    let (premium, free) = text.split_once(',').ok_or("two shares are needed (hint: 0.2,0.3)")?;
    let (premium, free) = (share(premium)?, share(free)?);
    if premium + free <= 1.0 { Ok((premium, free)) } else { Err("the two shares are more than 1 together".to_owned()) }
}

/// A moment in seconds as nanoseconds; up to 146 years.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.0..=4.6e9).contains(&seconds) {
        Ok((seconds * 1e9).round() as i64)
    } else {
        Err("not from 0 to 4.6e9 s".to_owned())
    }
}

pub(super) fn step(text: &str) -> Result<Step, String> {
    let (factor, at) = text.split_once('@').ok_or("no @ (hint: 2@40 is twice the load from 40 s on)")?;
    Ok(Step { factor: positive(factor)?, at_ns: seconds(at)? })
}

pub(super) fn fail(text: &str) -> Result<Fail, String> {
    let (device, when) = text.rsplit_once('@').ok_or("no @ (hint: 3@60:70 is device 3 from 60 s to 70 s)")?;
    let (at, until) = when.split_once(':').map_or((when, None), |(at, until)| (at, Some(until)));
    let (at_ns, until_ns) = (seconds(at)?, until.map(seconds).transpose()?);
    if until_ns.is_some_and(|until_ns| until_ns <= at_ns) {
        return Err("it comes back before it fails (hint: write the later time last)".to_owned());
    }
    Ok(Fail { device: device.to_owned(), at_ns, until_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_told_as_it_was_given() {
        for text in ["2@40", "0.5@0.25"] {
            assert_eq!(step(text).expect("a step").to_string(), text);
        }
        for text in ["3@60:70", "decode_mid_2@0.5", "a@b@1:1.5"] {
            assert_eq!(fail(text).expect("a failure").to_string(), text);
        }
    }
}
