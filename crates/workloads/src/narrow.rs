//! The pipeline targets with layers a sixteenth as wide, for tests: what is wrong in plans, calls or memory shows there,
//! too, and a test double multiplies 256 times less.

use crate::pipeline::{self, Config, Style};
use crate::{Error, Role, Session, Settings, Target};

/// Columns between layers.
const WIDTHS: [usize; 5] = [64, 256, 256, 128, 64];

/// What [`Target::prepare`] makes of a pipeline target, but narrow.
///
/// # Errors
/// As [`Target::prepare`]; memory is checked for the real widths.
pub fn prepare(target: &Target, settings: &Settings) -> Result<Box<dyn Session>, Error> {
    let baseline = matches!(target.pair, Some((_, Role::Baseline)));
    let style = if baseline { Style::Baseline } else { Style::Optimized };
    pipeline::prepare(Config { widths: WIDTHS.to_vec(), ..Config::new(target.name, style, settings)? })
}
