//! What is driven.

use std::sync::atomic::AtomicBool;

use super::{Clock, Endpoint, Error, Options};
use crate::{Cluster, Role, Workload};

/// What to drive, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// What arrives; the first request arrives at once.
    pub workload: &'a Workload,
    /// Where it goes.
    pub endpoints: &'a [Endpoint],
    /// How.
    pub options: &'a Options,
    /// The clock whose start the log's head states.
    pub clock: Clock,
    /// Ends the run when it becomes true: what is not complete is aborted.
    pub stop: &'a AtomicBool,
}

impl Job<'_> {
    /// The endpoints as policies and the log see them.
    pub fn cluster(&self) -> Cluster {
        let devices = self.endpoints.iter().map(|endpoint| endpoint.device.clone()).collect();
        Cluster { name: "engines".to_owned(), devices, ..Cluster::default() }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let Self { endpoints, options, .. } = self;
        if endpoints.is_empty() || endpoints.len() > 64 {
            return Err(Error::Endpoints(endpoints.len()));
        }
        if let Some(other) = endpoints.iter().find(|endpoint| endpoint.device.role != Role::Mixed) {
            return Err(Error::Role(other.device.name.clone()));
        }
        let (start, end) = (options.vocabulary.start, options.vocabulary.end);
        if end.saturating_sub(start) < 2 { Err(Error::Vocabulary { start, end }) } else { Ok(()) }
    }
}
