//! A point in a queue that others can wait for.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A point in a queue, reached once. Waiting blocks, it never spins.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    shared: Arc<(Mutex<State>, Condvar)>,
    /// The activity that the point follows.
    pub(crate) activity: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Reached,
    Failed,
}

/// The queue of the event stopped before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped;

impl Event {
    pub(crate) fn new(activity: i64) -> Self {
        Self { shared: Arc::new((Mutex::new(State::Pending), Condvar::new())), activity }
    }

    pub(crate) fn reach(&self) {
        self.set(State::Reached);
    }

    pub(crate) fn fail(&self) {
        self.set(State::Failed);
    }

    fn set(&self, state: State) {
        let (mutex, condition) = &*self.shared;
        *mutex.lock().unwrap_or_else(PoisonError::into_inner) = state;
        condition.notify_all();
    }

    /// Blocks until the point is reached.
    pub(crate) fn wait(&self) -> Result<(), Stopped> {
        let (mutex, condition) = &*self.shared;
        let state = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        let state =
            condition.wait_while(state, |state| *state == State::Pending).unwrap_or_else(PoisonError::into_inner);
        if *state == State::Reached { Ok(()) } else { Err(Stopped) }
    }
}
