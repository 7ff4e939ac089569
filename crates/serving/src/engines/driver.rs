//! The open loop: requests go out when they arrive, whatever the replies do.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::books::{Books, Held};
use super::call::{Told, Whole};
use super::journal::Journal;
use super::pacer::Pacer;
use super::telemetry::Telemetry;
use super::{Ending, Endpoint, Error, Failure, Job, Served};
use crate::admission::Admission;
use crate::log::Log;
use crate::policy::State;
use crate::{Cluster, Explanation, Migration, Policy, View};

/// Sends a workload to endpoints under a policy, in an open loop: arrivals never wait for replies. Every request that
/// arrived has a row in the log and one in the result, in the order of their ends.
///
/// # Errors
/// When nothing can be sent at all: no endpoints, no threads. What goes wrong with a request is in its row.
///
/// # Panics
/// When it is called from inside a tokio runtime.
pub fn drive<W: Write>(
    job: &Job<'_>,
    policy: &mut dyn Policy,
    admission: &mut dyn Admission,
    log: &mut Log<W>,
) -> Result<Vec<Served>, Error> {
    job.check()?;
    let system = |what: &'static str| move |source: io::Error| Error::System { what, source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(system("start the event loop"))?;
    let cluster = job.cluster();
    let (tell, hear) = unbounded_channel();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    let start_ns = job.clock.now_ns() + LEAD_NS;
    std::thread::scope(|threads| {
        let pacer = Pacer { job: *job, start_ns, tell: tell.clone(), left };
        std::thread::Builder::new()
            .name("arrivals".to_owned())
            .spawn_scoped(threads, move || pacer.run())
            .map_err(system("start the thread of the arrivals"))?;
        let driver = Driver::new(job, &cluster, start_ns, tell, (policy, admission, log));
        let served = runtime.block_on(driver.run(hear));
        // The pacer leaves when its channel closes.
        drop(leave);
        // Look-ups of names may take long and are of no use any more.
        runtime.shutdown_background();
        Ok(served)
    })
}

/// From the call to the first arrival: the pacer is ready by then.
const LEAD_NS: i64 = 20_000_000;
/// How often time is looked at when nothing happens.
const TICK: Duration = Duration::from_millis(20);
/// How often the log is flushed.
const FLUSH_NS: i64 = 1_000_000_000;
/// How often an endpoint that is down is asked whether it is back, where telemetry is not read.
const PROBE: Duration = Duration::from_millis(500);

/// Something that happens.
pub(super) enum Event {
    /// A request arrives; the rest of its body is made.
    Arrival(usize, String),
    /// All have arrived.
    LastArrival,
    /// A stream goes on.
    Told(usize, Told, i64),
    /// A stream ended.
    Ended(usize, i64, Result<Whole, Failure>),
    /// An endpoint answered a reading of its telemetry, or did not. The state is the router's own at its beginning.
    Read(usize, State, Result<(u16, String), Failure>),
}

/// A request that was sent.
pub(super) struct Live {
    pub(super) held: Held,
    pub(super) served: Served,
    pub(super) cached: u32,
    pub(super) task: AbortHandle,
}

/// A run on engines.
pub(super) struct Driver<'a, W: Write> {
    pub(super) job: &'a Job<'a>,
    pub(super) cluster: &'a Cluster,
    pub(super) start_ns: i64,
    pub(super) tell: UnboundedSender<Event>,
    pub(super) policy: &'a mut dyn Policy,
    pub(super) admission: &'a mut dyn Admission,
    pub(super) journal: Journal<'a, W>,
    pub(super) books: Books<'a>,
    pub(super) targets: Vec<Arc<Endpoint>>,
    pub(super) lives: BTreeMap<usize, Live>,
    pub(super) served: Vec<Served>,
    pub(super) arrived: usize,
    last_arrival_ns: Option<i64>,
    pub(super) cached: Vec<u32>,
    pub(super) why: Explanation,
    plan: Vec<Migration>,
    /// What is known of each endpoint's telemetry.
    pub(super) telemetry: Vec<Telemetry>,
    next_read_ns: i64,
    next_flush_ns: i64,
    next_plan_ns: i64,
}

impl<'a, W: Write> Driver<'a, W> {
    fn new(
        job: &'a Job<'a>,
        cluster: &'a Cluster,
        start_ns: i64,
        tell: UnboundedSender<Event>,
        (policy, admission, log): (&'a mut dyn Policy, &'a mut dyn Admission, &'a mut Log<W>),
    ) -> Self {
        let endpoints = job.endpoints.len();
        let wanted = job.options.decisions;
        Self {
            job,
            cluster,
            start_ns,
            tell,
            journal: Journal::new(log, cluster, policy.name(), job.options),
            policy,
            admission,
            books: Books::new(job.workload, cluster),
            targets: job.endpoints.iter().cloned().map(Arc::new).collect(),
            lives: BTreeMap::new(),
            served: Vec::new(),
            arrived: 0,
            last_arrival_ns: None,
            cached: vec![0; endpoints],
            why: Explanation { wanted, ..Explanation::default() },
            plan: Vec::new(),
            telemetry: vec![Telemetry::new(job.options.telemetry_period.is_some()); endpoints],
            next_read_ns: i64::MIN,
            next_flush_ns: FLUSH_NS,
            next_plan_ns: job.clock.now_ns(),
        }
    }

    async fn run(mut self, mut hear: UnboundedReceiver<Event>) -> Vec<Served> {
        loop {
            if let Ok(Some(event)) = timeout(TICK, hear.recv()).await {
                self.handle(event);
            }
            self.on_time();
            if let Some(reason) = self.over() {
                self.abort(reason);
                break;
            }
            if self.last_arrival_ns.is_some() && self.lives.is_empty() {
                break;
            }
        }
        let not_sent = self.job.workload.requests.len() - self.arrived;
        if not_sent > 0 {
            self.journal
                .issue("not_sent", "info", || format!("{not_sent} requests had not arrived when the run was stopped"));
        }
        self.tell_silent();
        let now_ns = self.job.clock.now_ns();
        self.sample(now_ns);
        self.journal.end(now_ns);
        self.served
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrival(number, rest) => self.arrive(number, &rest),
            Event::LastArrival => self.last_arrival_ns = Some(self.job.clock.now_ns()),
            Event::Told(number, told, at_ns) => self.told(number, told, at_ns),
            Event::Ended(number, at_ns, result) => self.ended(number, at_ns, result),
            Event::Read(endpoint, before, answer) => self.read(endpoint, before, answer),
        }
    }

    /// What is due.
    fn on_time(&mut self) {
        let now_ns = self.job.clock.now_ns();
        let every = |period: Duration| (period.as_nanos() as i64).max(1);
        if now_ns >= self.next_read_ns {
            self.next_read_ns = now_ns + every(self.job.options.telemetry_period.unwrap_or(PROBE));
            if self.job.options.telemetry_period.is_some() {
                self.sample(now_ns);
            }
            self.ask_endpoints();
        }
        if let Some(period) = self.job.options.migration_period
            && now_ns >= self.next_plan_ns
        {
            self.next_plan_ns = now_ns + every(period);
            self.plan_migrations(now_ns);
        }
        if now_ns >= self.next_flush_ns {
            self.next_flush_ns = now_ns + FLUSH_NS;
            self.journal.flush();
        }
    }

    /// Lets the policy plan, so that it does what it does in the simulator; nothing moves.
    fn plan_migrations(&mut self, now_ns: i64) {
        self.plan.clear();
        let view = View { now_ns, cluster: self.cluster, devices: &self.books.states };
        self.policy.plan_migrations(&view, &mut self.plan);
        for _ in 0..self.plan.len() {
            let what = || "migrations were planned and left: requests can't move between such endpoints".to_owned();
            self.journal.issue("migrations_ignored", "info", what);
        }
    }

    /// Why the run is over before its requests are complete.
    fn over(&self) -> Option<&'static str> {
        if self.job.stop.load(Ordering::Relaxed) {
            return Some("stopped: the run was interrupted");
        }
        let drained_ns = self.last_arrival_ns? + self.job.options.limits.drain.as_nanos() as i64;
        (self.job.clock.now_ns() >= drained_ns).then_some("drain: the time after the last arrival was over")
    }

    fn abort(&mut self, reason: &'static str) {
        for (_, live) in std::mem::take(&mut self.lives) {
            live.task.abort();
            let ending = Ending::Aborted(reason);
            self.keep(Served { end_ns: self.job.clock.now_ns(), ending, ..live.served });
        }
    }
}
