//! The name of the recorder's ranges, prepared before the hot path.

use super::{Domain, Event, Payload};
use crate::record::Text;

/// Domain, category and name of ranges, from [`Recorder::range_name`](crate::Recorder::range_name).
#[derive(Clone, Copy, Debug)]
pub struct RangeName {
    pub(crate) domain: Text,
    pub(crate) name: Text,
    /// For the tool, where one is attached and the session has NVTX on.
    pub(crate) tool: Option<(Domain, Event)>,
}

impl RangeName {
    /// Opens the tool's range and returns what closes it.
    #[inline]
    pub(crate) fn push(&self, payload: Option<Payload>) -> Option<Domain> {
        let (domain, event) = self.tool.as_ref()?;
        match payload {
            Some(payload) => domain.push(&event.with(payload)),
            None => domain.push(event),
        }
        Some(*domain)
    }
}
