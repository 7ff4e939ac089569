//! The thread from which requests arrive.

use std::sync::mpsc::{Receiver, RecvTimeoutError};

use tokio::sync::mpsc::UnboundedSender;

use super::driver::Event;
use super::prompt::Prompts;
use super::{Job, Options};
use crate::Workload;

/// Makes prompts and lets requests arrive, in a thread of its own: prompts cost no stream its time stamps, and waiting is
/// exact to some 60 us.
pub(super) struct Pacer<'a> {
    pub(super) job: Job<'a>,
    pub(super) start_ns: i64,
    pub(super) tell: UnboundedSender<Event>,
    /// Closes when the run is over.
    pub(super) left: Receiver<()>,
}

impl Pacer<'_> {
    pub(super) fn run(self) {
        let Job { workload, options, clock, .. } = self.job;
        let Options { protocol, seed, nonce, ref vocabulary, .. } = *options;
        let prompts = Prompts { workload, seed, nonce, vocabulary: vocabulary.clone() };
        for (number, request) in workload.requests.iter().enumerate() {
            let rest = protocol.rest(&prompts.json(number, protocol.words()), request.output_tokens.max(1));
            let until = clock.until(arrival_ns(workload, self.start_ns, number));
            if !matches!(self.left.recv_timeout(until), Err(RecvTimeoutError::Timeout)) {
                return;
            }
            if self.tell.send(Event::Arrival(number, rest)).is_err() {
                return;
            }
        }
        // Nobody hears it where the run has ended.
        let _ = self.tell.send(Event::LastArrival);
    }
}

/// When a request arrives, on the clock of the run.
pub(super) fn arrival_ns(workload: &Workload, start_ns: i64, number: usize) -> i64 {
    let first_ns = workload.requests.first().map_or(0, |request| request.arrival_ns);
    start_ns + workload.requests[number].arrival_ns - first_ns
}
