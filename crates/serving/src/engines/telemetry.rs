//! The driver's readings of endpoints: their load, and whether those that were down are back.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::driver::{Driver, Event};
use super::{Failure, Gauges};
use crate::policy::State;

/// How long an answer of `/metrics` may take.
const SCRAPE_LIMIT: Duration = Duration::from_secs(5);

/// What is known of an endpoint's telemetry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Telemetry {
    /// Whether it is wanted, and the endpoint may have some.
    wanted: bool,
    /// Whether it is being read.
    reading: bool,
    /// Whether there was an answer, and one with gauges.
    answered: bool,
    told: bool,
}

impl Telemetry {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, reading: false, answered: false, told: false }
    }
}

impl<W: Write> Driver<'_, W> {
    /// Samples every endpoint's state.
    pub(super) fn sample(&mut self, now_ns: i64) {
        for device in 0..self.targets.len() {
            self.journal.sample(now_ns, device, &self.books.states[device], &self.books.gauges[device]);
        }
    }

    /// Reads the telemetry of those that have some, and asks those that are down whether they are back.
    pub(super) fn ask_endpoints(&mut self) {
        for endpoint in 0..self.targets.len() {
            let up = self.books.states[endpoint].up;
            let telemetry = &mut self.telemetry[endpoint];
            if telemetry.reading || (up && !telemetry.wanted) {
                continue;
            }
            telemetry.reading = true;
            let (target, tell) = (Arc::clone(&self.targets[endpoint]), self.tell.clone());
            let (before, path) = (self.books.own(endpoint), if up { "/metrics" } else { "/health" });
            tokio::spawn(async move {
                let answer = target.address.get(path, SCRAPE_LIMIT).await;
                let _ = tell.send(Event::Read(endpoint, before, answer));
            });
        }
    }

    /// An endpoint answered, or did not; `before` are the router's own requests there when it was asked.
    pub(super) fn read(&mut self, endpoint: usize, before: State, answer: Result<(u16, String), Failure>) {
        self.telemetry[endpoint].reading = false;
        let name = &self.cluster.devices[endpoint].name;
        if !self.books.states[endpoint].up {
            // Any answer says that it is back, but one that it is still loading, and one to a question from before it went.
            if !before.up && answer.is_ok_and(|(status, _)| status != 503) {
                self.change(endpoint, true);
            }
            return;
        }
        let telemetry = &mut self.telemetry[endpoint];
        let failed = match answer {
            Ok((200, page)) => {
                telemetry.answered = true;
                return self.told_gauges(endpoint, before, &Gauges::read(&page));
            }
            Ok((404 | 405 | 501, _)) => {
                (telemetry.answered, telemetry.wanted) = (true, false);
                return;
            }
            Ok((status, _)) => format!("/metrics of {name} answered with status {status}"),
            Err(failure) => format!("/metrics of {name} could not be read: {failure}"),
        };
        self.journal.issue("telemetry_failed", "info", || failed);
    }

    /// A page was read. One without gauges may get some: Dynamo's front end lists them with its first request.
    fn told_gauges(&mut self, endpoint: usize, before: State, gauges: &Gauges) {
        if gauges.is_empty() {
            return;
        }
        self.telemetry[endpoint].told = true;
        let now = self.books.own(endpoint);
        let most = State {
            up: true,
            waiting: before.waiting.max(now.waiting),
            waiting_tokens: before.waiting_tokens.max(now.waiting_tokens),
            waiting_pairs: before.waiting_pairs.max(now.waiting_pairs),
            running: before.running.max(now.running),
            kv_tokens: before.kv_tokens.max(now.kv_tokens),
        };
        self.books.told(endpoint, gauges, most);
    }

    /// Says which endpoints have answered and told nothing.
    pub(super) fn tell_silent(&mut self) {
        for (telemetry, device) in self.telemetry.iter().zip(&self.cluster.devices) {
            if telemetry.answered && !telemetry.told {
                let name = &device.name;
                let what = || {
                    format!(
                        "{name} has no /metrics that is known: its load is what this router sent (hint: llama.cpp needs --metrics)"
                    )
                };
                self.journal.issue("no_telemetry", "info", what);
            }
        }
    }
}
