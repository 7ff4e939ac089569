//! Annotated steps of serving engines around operators.

use std::collections::HashMap;

use proftool_roofline::analytic::annotation::{self, Step};

use super::nesting::nest;
use crate::model::Model;
use crate::operators::Span;

/// Annotated steps of a thread, and the calls that need one.
#[derive(Default)]
struct Annotated {
    spans: Vec<Span>,
    steps: Vec<u32>,
    calls: Vec<u32>,
}

/// Annotated steps with sums, and the innermost around each of the calls, on its thread.
pub(super) fn steps(model: &Model, calls: &[u32]) -> (Vec<Step>, HashMap<u32, u32>) {
    let (mut steps, mut step_of) = (Vec::new(), HashMap::new());
    if calls.is_empty() {
        return (steps, step_of);
    }
    let mut threads: HashMap<u32, Annotated> = HashMap::new();
    let mut known = HashMap::new();
    for range in &model.ranges {
        let step = *known.entry(range.name).or_insert_with(|| {
            let step = annotation::parse(model.names.text(range.name)).filter(Step::has_sums)?;
            steps.push(step);
            Some(steps.len() as u32 - 1)
        });
        if let Some(step) = step {
            let thread = threads.entry(range.thread).or_default();
            thread.spans.push(range.span);
            thread.steps.push(step);
        }
    }
    for call in calls {
        if let Some(thread) = threads.get_mut(&model.calls[*call as usize].thread) {
            thread.calls.push(*call);
        }
    }
    for Annotated { spans, steps, calls } in threads.into_values() {
        let starts: Vec<i64> = calls.iter().map(|call| model.calls[*call as usize].span.0).collect();
        let owners = nest(&spans, &starts).owners;
        let held = calls.iter().zip(owners).filter_map(|(call, owner)| Some((*call, steps[owner?])));
        step_of.extend(held);
    }
    (steps, step_of)
}
