//! Events between queues, where the tool records the calls but not which event they are about.

use std::collections::HashMap;

use super::Builder;
use crate::classes::Kind as Row;
use crate::model::{DeviceKey, Edge};

/// What a call does with an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Record,
    Wait,
    Nothing,
}

/// Cuda, HIP and the recorder's own names.
fn does(name: &str) -> Does {
    let name = name.to_ascii_lowercase();
    match () {
        () if name.contains("eventrecord") || name == "event_record" => Does::Record,
        () if name.contains("streamwaitevent") || name == "queue_wait_event" => Does::Wait,
        () => Does::Nothing,
    }
}

type Place = (DeviceKey, Option<i64>);

/// One thread, call by call.
#[derive(Default)]
struct Thread {
    /// The activity launched last, and that of the last event record.
    launched: Option<u32>,
    recorded: Option<u32>,
    /// Queues that were made to wait, and for what; and what a queue that is not recorded waits for.
    waiting: HashMap<Place, u32>,
    somewhere: Option<u32>,
}

impl Builder<'_> {
    /// Event edges of a pass whose tables declare none.
    pub(super) fn events(&mut self) {
        let model = self.model;
        if model.has_edge(Edge::Event) {
            return;
        }
        let mut names = HashMap::new();
        let mut what = |name: u32| *names.entry(name).or_insert_with(|| does(model.names.text(name)));
        if model.calls.iter().all(|call| what(call.name) != Does::Wait) {
            return;
        }
        let places: HashMap<u32, Place> = model
            .activities
            .iter()
            .filter(|row| row.kind == Row::Sync)
            .filter_map(|row| Some((row.call?, (row.device, row.queue))))
            .collect();
        let order = self.ordered_calls();
        for calls in order.chunk_by(|a, b| model.calls[*a as usize].thread == model.calls[*b as usize].thread) {
            let mut state = Thread::default();
            for call in calls {
                match what(model.calls[*call as usize].name) {
                    Does::Record => state.recorded = state.launched,
                    Does::Wait => state.wait(places.get(call).copied().filter(|place| place.1.is_some())),
                    Does::Nothing => {}
                }
                let launched: Vec<u32> = self.launched_by(*call).iter().map(|pair| pair.1).collect();
                for at in launched {
                    self.event_edges(&mut state, at);
                }
            }
        }
    }

    fn event_edges(&mut self, state: &mut Thread, at: u32) {
        let place = |at: u32| {
            let row = &self.model.activities[at as usize];
            (row.device, row.queue)
        };
        let own = place(at);
        let awaited = state.waiting.remove(&own);
        let guessed = state.somewhere.take_if(|before| place(*before) != own);
        for before in awaited.into_iter().chain(guessed).filter(|before| place(*before) != own) {
            self.infer(self.tails[before as usize], self.heads[at as usize]);
        }
        state.launched = Some(at);
    }
}

impl Thread {
    fn wait(&mut self, place: Option<Place>) {
        match (place, self.recorded) {
            (Some(place), Some(recorded)) => {
                self.waiting.insert(place, recorded);
            }
            (None, recorded @ Some(_)) => self.somewhere = recorded,
            (_, None) => {}
        }
    }
}
