//! Which options an ncu has, by its own help: they come and go with versions, and it refuses one that it does not know.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{explain, tool};
use crate::profilers::Missing;

/// How long `ncu --help` may take: it takes milliseconds, seconds from a cold network folder.
const LIMIT: Duration = Duration::from_secs(20);

/// The options of an ncu, each with what its help says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Knows(BTreeMap<String, String>);

impl Knows {
    /// Asks the ncu at `program`.
    ///
    /// # Errors
    /// When it cannot be run or prints no help.
    pub fn ask(program: &Path) -> Result<Self, Missing> {
        let said = tool::ask(program, ["--help"], LIMIT)?;
        let knows = Self::parse(&said.out);
        if knows.has("--metrics") {
            return Ok(knows);
        }
        Err(Missing {
            reason: format!("{} prints no options: {}", program.display(), explain::last_words(&said.text())),
            fix: "install Nsight Compute again, and run `ncu --help` to see that it works".to_owned(),
        })
    }

    /// Reads a help text: an option stands behind two spaces, what it does behind many.
    pub fn parse(help: &str) -> Self {
        let mut options = BTreeMap::<String, String>::new();
        let mut current = None;
        for line in help.lines() {
            if line.starts_with("  -") {
                current = line.split([' ', ',']).find(|word| word.starts_with("--")).map(str::to_owned);
            } else if !line.starts_with("    ") {
                current = None;
            }
            if let Some(option) = &current {
                let text = options.entry(option.clone()).or_default();
                text.push_str(line);
                text.push('\n');
            }
        }
        Self(options)
    }

    /// Whether it has an option: `--graph-profiling`.
    pub fn has(&self, option: &str) -> bool {
        self.0.contains_key(option)
    }

    /// Whether an option takes a value, by the words of its help: `--replay-mode`, `range`.
    pub fn takes(&self, option: &str, value: &str) -> bool {
        self.0.get(option).is_some_and(|text| text.split_whitespace().any(|word| word == value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_their_values_are_those_of_the_help() {
        let help = "\
usage: ncu [options] [program] [program-arguments]

General Options:
  -h [ --help ]                         Print this help message.
  --replay-mode arg (=kernel)           Mechanism used for replaying. Compare --app-replay-mode.
                                          kernel (default)
                                          range
                                          (Replay ranges of kernel launches)
  -k [ --kernel-name ] arg              Filter the kernel

Use the --mode switch to select how to use the tool:
      ncu --mode=launch MyApp
";
        let knows = Knows::parse(help);
        assert!(knows.has("--help") && knows.has("--kernel-name"));
        assert!(!knows.has("--mode") && !knows.has("--app-replay-mode"), "named in passing only");
        assert!(knows.takes("--replay-mode", "range") && knows.takes("--replay-mode", "kernel"));
        assert!(!knows.takes("--replay-mode", "app-range") && !knows.takes("--kernel-name", "kernel-name"));
        assert!(!Knows::parse("").has("--help"));
    }
}
