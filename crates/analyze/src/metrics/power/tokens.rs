//! Tokens of the parts of a device's time.

use std::collections::BTreeMap;

use proftool_trace::tables;

use super::Input;
use crate::Error;
use crate::model::{DeviceKey, Model, Rows};
use crate::operators::contains;
use crate::roofline::Engine;
use crate::samples::scopes::{Kind, Scope, Scopes};
use crate::steps::tokens::{DeviceLog, Held, Log};
use crate::windows::WindowSet;

/// A number of tokens and where it is stated.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Count {
    pub(super) count: i64,
    pub(super) source: String,
}

/// The tokens of all devices.
pub(super) struct Tokens {
    log: Log,
    /// End and generated tokens of finished requests.
    requests: Vec<(i64, i64)>,
}

impl Tokens {
    pub(super) fn read(input: &Input) -> Result<Self, Error> {
        let rows = Rows::of_pass(input.tables.get(&tables::REQUESTS), &input.model()?.pass)?;
        let counts = rows.optional_ints("end_ns")?.into_iter().zip(rows.optional_ints("output_tokens")?);
        let known = counts.zip(rows.texts("status")?).filter(|(_, status)| status.as_deref() == Some("ok"));
        let requests = known.filter_map(|((end, tokens), _)| end.zip(tokens)).collect();
        Ok(Self { log: Log::read(input)?, requests })
    }

    pub(super) fn of_device<'t>(&'t self, input: &'t Input, device: DeviceKey) -> Result<OfDevice<'t>, Error> {
        let (model, engine) = (input.model()?, input.engine()?);
        Ok(OfDevice { model, engine, log: self.log.of_device(model, device), requests: &self.requests, held: None })
    }
}

/// The tokens of one device.
pub(super) struct OfDevice<'t> {
    model: &'t Model,
    engine: &'t Engine,
    log: DeviceLog,
    requests: &'t [(i64, i64)],
    /// What the phases of the window set asked about last held.
    held: Option<(String, BTreeMap<String, Held>)>,
}

impl OfDevice<'_> {
    /// The tokens that were computed in a scope: of the windows all of them, of a phase its own, of a state of steps those
    /// of its steps; `None` where they, or a part of them, are not stated, and for other scopes.
    pub(super) fn within(&mut self, scopes: &Scopes, scope: &Scope, set: &WindowSet) -> Option<Count> {
        match (scope.kind, scope.name.as_deref()) {
            (Kind::Window, _) => {
                let held: Vec<&Held> = self.held(set).values().collect();
                let count = held.iter().try_fold(0, |sum: i64, held| Some(sum.saturating_add(held.tokens?)))?;
                let mut sources: Vec<&str> = held.iter().map(|held| held.source).collect();
                sources.dedup();
                (!sources.is_empty()).then(|| Count { count, source: sources.join(", ") })
            }
            (Kind::Phase, Some(phase)) => {
                let held = self.held(set).get(phase)?;
                Some(Count { count: held.tokens?, source: held.source.to_owned() })
            }
            (Kind::StepState, Some(state)) => {
                Some(Count { count: scopes.tokens_of_state(state, set)?, source: "steps of the state".to_owned() })
            }
            _ => None,
        }
    }

    fn held(&mut self, set: &WindowSet) -> &BTreeMap<String, Held> {
        if self.held.as_ref().is_none_or(|(known, _)| *known != set.name) {
            self.held = None;
        }
        let (model, engine, log) = (self.model, self.engine, &self.log);
        &self.held.get_or_insert_with(|| (set.name.clone(), log.of(model, engine, &set.spans))).1
    }

    /// Generated tokens of the requests that end in the windows; of all devices together.
    pub(super) fn output(&self, set: &WindowSet) -> Option<i64> {
        let mut ended = self.requests.iter().filter(|(end, _)| contains(&set.spans, *end)).peekable();
        ended.peek()?;
        Some(ended.fold(0, |sum: i64, (_, tokens)| sum.saturating_add(*tokens)))
    }
}
