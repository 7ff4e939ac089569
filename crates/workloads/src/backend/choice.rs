//! Which backend is asked for.

use std::fmt;
use std::str::FromStr;

use crate::{Error, cuda};

/// What executes a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// GPUs where they can be used, else cores.
    #[default]
    Auto,
    /// Cores of the host.
    Cpu,
    /// NVIDIA's GPUs.
    Cuda,
}

impl Backend {
    /// Their names on the command line.
    pub const NAMES: [&'static str; 3] = ["auto", "cpu", "cuda"];

    /// Whether it can execute anything here.
    ///
    /// # Errors
    /// For `cuda`: what is missing, with its fix. Cores are always there.
    pub fn available(self) -> Result<(), Error> {
        match self {
            Self::Auto | Self::Cpu => Ok(()),
            Self::Cuda => {
                cuda::check()?;
                cuda::gpus().map(|_| ())
            }
        }
    }

    /// The choice made: `Cpu` or `Cuda`.
    ///
    /// # Errors
    /// As [`Backend::available`], for `Cuda` only: `Auto` takes the cores then.
    pub fn resolve(self) -> Result<Self, Error> {
        match self {
            Self::Cpu => Ok(Self::Cpu),
            Self::Cuda => self.available().map(|()| Self::Cuda),
            Self::Auto => Ok(if Self::Cuda.available().is_ok() { Self::Cuda } else { Self::Cpu }),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(Self::NAMES[*self as usize])
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => Err(format!("{text} is no backend (hint: one of {})", Self::NAMES.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_cores_are_always_there() {
        for backend in [Backend::Auto, Backend::Cpu, Backend::Cuda] {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        assert!("gpu".parse::<Backend>().is_err());
        assert_eq!(Backend::Cpu.resolve().ok(), Some(Backend::Cpu));
    }
}
