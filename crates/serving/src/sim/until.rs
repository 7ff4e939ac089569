//! A run that can be stopped.

use super::record::{Duty, Outcome, Run, Sink, Span};
use crate::Explanation;
use crate::policy::State;

/// Passes on what happens, and ends the run once it is asked to: what a user interrupts should not take until its end.
pub struct Until<'a> {
    sink: &'a mut dyn Sink,
    stop: &'a dyn Fn() -> bool,
}

impl<'a> Until<'a> {
    /// Tells `sink` what happens until `stop` says true; it is asked as often as [`Sink::stopped`].
    pub fn new(sink: &'a mut dyn Sink, stop: &'a dyn Fn() -> bool) -> Self {
        Self { sink, stop }
    }
}

impl Sink for Until<'_> {
    fn stopped(&self) -> bool {
        (self.stop)() || self.sink.stopped()
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.sink.outcome(outcome);
    }

    fn span(&mut self, span: &Span) {
        self.sink.span(span);
    }

    fn steps(&mut self, run: &Run) {
        self.sink.steps(run);
    }

    fn sample(&mut self, at_ns: i64, devices: &[State]) {
        self.sink.sample(at_ns, devices);
    }

    fn duty(&mut self, at_ns: i64, device: usize, duty: Duty) {
        self.sink.duty(at_ns, device, duty);
    }

    fn decision(&mut self, at_ns: i64, request: u32, chosen: Option<usize>, why: &Explanation) {
        self.sink.decision(at_ns, request, chosen, why);
    }
}
