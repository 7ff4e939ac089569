//! Every range of a timeline with what it holds: [`project`] on the rows of a [`Model`].

use std::rc::Rc;

use proftool_timeline::nesting::{Operation, Projected, Range as Drawn, project};

use crate::classes::Class;
use crate::model::{Model, Range, RangeStyle};

/// Why a range is not projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unprojected {
    /// It is an instant.
    Mark,
    /// It never ended.
    Open,
    /// It ended on another thread than it began on, so nothing says whose launches it holds.
    OtherThread,
    /// The profiler drew it on a device, not on a host thread.
    OnDevice,
    /// It ends before it begins.
    Backwards,
}

impl Unprojected {
    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 5] = [Self::Mark, Self::Open, Self::OtherThread, Self::OnDevice, Self::Backwards];

    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mark => "mark",
            Self::Open => "never ended",
            Self::OtherThread => "ended on another thread",
            Self::OnDevice => "drawn on a device",
            Self::Backwards => "ends before it begins",
        }
    }
}

/// What every finished range of a model holds.
#[derive(Debug, Default)]
pub struct Instances {
    /// For each range of the model its place in `projected`, or why it has none.
    pub of: Vec<Result<u32, Unprojected>>,
    /// What the ranges hold that are projected; a parent is a place in here.
    pub projected: Vec<Projected>,
    /// Index in the model of each of them.
    pub range: Vec<u32>,
    /// Index in `projected` of the innermost range of each activity of the model; null where no range holds its call.
    pub innermost: Vec<Option<u32>>,
}

impl Instances {
    /// Projects all ranges of a model onto its kernels, copies, sets and graphs, once for a model.
    pub fn of_model(model: &Model) -> Rc<Self> {
        Rc::clone(model.instances.get_or_init(|| Rc::new(Self::find(model))))
    }

    fn find(model: &Model) -> Self {
        let mut all = Self { of: Vec::with_capacity(model.ranges.len()), ..Self::default() };
        let gpu = model.names.find("gpu");
        let mut drawn = Vec::new();
        for (at, range) in model.ranges.iter().enumerate() {
            let place = unprojected(range, gpu).map_or(Ok(drawn.len() as u32), Err);
            if place.is_ok() {
                drawn.push(Drawn { lane: range.thread, id: range.id, span: range.span });
                all.range.push(at as u32);
            }
            all.of.push(place);
        }
        let (mut operations, mut places) = (Vec::new(), Vec::new());
        for (at, row) in model.activities.iter().enumerate().filter(|(_, row)| row.class != Class::Sync) {
            let Some((launch, call)) = row.call.and_then(|call| Some((call, model.calls.get(call as usize)?))) else {
                continue;
            };
            operations.push(Operation { lane: call.thread, launch, call: call.span, span: row.span });
            places.push(at);
        }
        let found = project(&drawn, &operations);
        all.innermost = vec![None; model.activities.len()];
        for (at, range) in places.into_iter().zip(found.innermost) {
            all.innermost[at] = range;
        }
        all.projected = found.ranges;
        all
    }
}

fn unprojected(range: &Range, gpu: Option<u32>) -> Option<Unprojected> {
    if range.place.is_some() || (gpu.is_some() && range.domain == gpu) {
        Some(Unprojected::OnDevice)
    } else if range.style == RangeStyle::Mark {
        Some(Unprojected::Mark)
    } else if range.ends_elsewhere {
        Some(Unprojected::OtherThread)
    } else {
        (range.span.1 < range.span.0).then_some(Unprojected::Backwards)
    }
}
