//! Counts from what the target states, from the operator, and from the bytes of the trace.

use proftool_roofline::{Counts, Flop, Level, Precision, Source, Traffic};

use super::Placing;
use crate::classes::{Class, Kind};
use crate::model::{Activity, Work};
use crate::roofline::join::{Found, Reason};
use crate::roofline::operators::{self, Role};
use crate::roofline::timeline::Direction;
use crate::roofline::{Placed, Quality};

/// How bytes of the trace are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Moved {
    /// Over a link.
    Link,
    /// Read and written in one memory.
    Inside,
    /// Written.
    Set,
}

impl Placing<'_> {
    /// The bytes of a copy or set.
    pub(super) fn give_moved(&mut self, placed: &mut Placed, row: &Activity, index: usize) {
        let direction = self.timeline.directions.get(index).copied().flatten();
        if row.kind == Kind::Copy {
            placed.link = self.engine.links.of_copy(row, direction, self.engine.roofs.get(&row.device));
        }
        let Some(bytes) = row.bytes.filter(|bytes| *bytes >= 0) else {
            placed.reason = Some(Reason::NoBytes);
            return;
        };
        let on_cpu = self.engine.roofs(row.device).is_none_or(|roofs| roofs.kind == "cpu");
        let inside =
            direction == Some(Direction::Inside) || (direction.is_none() && row.src.is_some() && row.src == row.dst);
        let moved = match row.kind {
            Kind::Set => Moved::Set,
            _ if inside && placed.link.is_none() && !on_cpu => Moved::Inside,
            _ => Moved::Link,
        };
        placed.counts = Some(self.moved(moved, bytes as f64));
        placed.quality = Some(Quality::Trace);
    }

    fn moved(&mut self, moved: Moved, bytes: f64) -> u32 {
        let counts = &mut self.engine.counts;
        *self.moved.entry((moved, bytes.to_bits())).or_insert_with(|| {
            let of = |bytes| vec![Traffic { level: Level::Dram, bytes }];
            counts.push(Counts {
                wire_bytes: (moved == Moved::Link).then_some(bytes),
                bytes: match moved {
                    Moved::Link => Vec::new(),
                    Moved::Inside => of(2.0 * bytes),
                    Moved::Set => of(bytes),
                },
                bytes_source: Some(Source::Trace),
                ..Counts::default()
            });
            counts.len() as u32 - 1
        })
    }

    /// The counts of a kernel.
    pub(super) fn give_counted(&mut self, placed: &mut Placed, row: &Activity, index: usize, counter: Found) {
        let stated = row.work().and_then(|work| self.stated(&work)).map(|stated| (stated, Quality::Stated));
        let stated = stated.or_else(|| Some((self.of_operator(index)?, Quality::Operator)));
        let wire = self.collectives.get(&(index as u32)).copied().filter(|_| row.class != Class::Compute);
        if wire.is_some() {
            placed.link = self.engine.links.of_collective(row.device, self.engine.roofs.get(&row.device));
        }
        let useful = counter.and_then(|(counts, quality)| {
            let placed = self.engine.counts[counts as usize].is_placed();
            if placed { Ok((counts, quality)) } else { Err(Reason::NoFormula) }
        });
        (placed.counts, placed.quality, placed.reason) = match (useful, stated, wire) {
            (Ok((counts, quality)), None, _) => (Some(counts), Some(quality), None),
            (Ok((counts, quality)), Some((stated, _)), _) => {
                placed.analytic = Some(stated);
                (Some(self.merged(counts, stated)), Some(quality), None)
            }
            (Err(_), Some((stated, quality)), _) => (Some(stated), Some(quality), None),
            (Err(_), None, Some(bytes)) => (Some(self.moved(Moved::Link, bytes)), Some(Quality::Trace), None),
            (Err(_), None, None) if row.kind == Kind::Graph => (None, None, Some(Reason::Graph)),
            (Err(reason), None, None) => (None, None, Some(reason)),
        };
    }

    /// What the framework operator that launched an activity had to do, as counts.
    fn of_operator(&mut self, index: usize) -> Option<u32> {
        let role = self.operators.role(index)?;
        // Operators of equal inputs share one operation.
        let of = |operator: u32| self.operators.operators[operator as usize].operation;
        let key = match role {
            Role::Main(operator) => (true, of(operator)),
            Role::Helper(operator) => (false, of(operator)),
        };
        let (counts, operators) = (&mut self.engine.counts, &self.operators);
        Some(*self.operations.entry(key).or_insert_with(|| {
            counts.push(match role {
                Role::Main(operator) => operators::counts(operators.operation(operator)),
                Role::Helper(operator) => operators::helper_counts(operators.operation(operator)),
            });
            counts.len() as u32 - 1
        }))
    }

    /// What the target states, as counts; `None` where it states neither FLOP of a known type nor bytes.
    fn stated(&mut self, work: &Work) -> Option<u32> {
        let key = (work.flop, work.dram_bytes, work.precision);
        if let Some(known) = self.stated.get(&key) {
            return *known;
        }
        let names = &self.model.names;
        let precision =
            work.precision.and_then(|name| *self.precisions.entry(name).or_insert_with(|| precision(names.text(name))));
        let flop = work.flop.filter(|flop| *flop >= 0).zip(precision);
        let bytes = work.dram_bytes.filter(|bytes| *bytes >= 0);
        let known = flop.is_some() || bytes.is_some();
        let flops = flop.filter(|(ops, _)| *ops > 0);
        let counts = Counts {
            flop: flops
                .map(|(ops, precision)| Flop { precision, sparse: false, ops: ops as f64 })
                .into_iter()
                .collect(),
            flop_known: flop.is_some(),
            bytes: bytes.map(|bytes| Traffic { level: Level::Dram, bytes: bytes as f64 }).into_iter().collect(),
            formula: Some(self.formula.clone()),
            flop_source: flop.map(|_| Source::Analytic),
            bytes_source: bytes.map(|_| Source::Analytic),
            ..Counts::default()
        };
        let number = known.then_some(self.engine.counts.len() as u32);
        if known {
            self.engine.counts.push(counts);
        }
        self.stated.insert(key, number);
        number
    }

    /// Counters, with what they leave open from analytic counts.
    fn merged(&mut self, counter: u32, analytic: u32) -> u32 {
        if let Some(known) = self.merged.get(&(counter, analytic)) {
            return *known;
        }
        let (own, other) = (&self.engine.counts[counter as usize], &self.engine.counts[analytic as usize]);
        let no_bytes = own.bytes_of(Level::Dram).is_none() && other.bytes_of(Level::Dram).is_some();
        let no_flop = own.flop_sum().is_none() && own.flop.is_empty() && other.flop_sum().is_some();
        let mut number = counter;
        if no_bytes || no_flop {
            let mut both = own.clone();
            if no_bytes {
                both.bytes.extend(other.bytes.iter().filter(|traffic| traffic.level == Level::Dram));
                both.bytes_source = other.bytes_source;
            }
            if no_flop {
                both.flop.clone_from(&other.flop);
                (both.flop_known, both.flop_source) = (other.flop_known, other.flop_source);
            }
            number = self.engine.counts.len() as u32;
            self.engine.counts.push(both);
        }
        self.merged.insert((counter, analytic), number);
        number
    }
}

/// The precision that a target names: ours, or another spelling of it (`fp32`).
fn precision(name: &str) -> Option<Precision> {
    Precision::parse(name).or_else(|| Precision::all().find(|precision| precision.matches(name)))
}
