//! Everyone is served.

use super::{Admission, Asked};
use crate::View;

/// Accepts every request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everyone;

impl Admission for Everyone {
    fn name(&self) -> &'static str {
        "none"
    }

    fn admit(&mut self, _asked: &Asked<'_>, _view: &View<'_>) -> Result<(), &'static str> {
        Ok(())
    }
}
