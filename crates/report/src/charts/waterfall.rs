//! A waterfall: terms that begin where the one before ended, down to their sum.

use super::legend::{self, Entry};
use super::scale::{Scale, linear_ticks, tick_label};
use super::style::picture;
use super::svg::{Element, fit, line, rect, text, text_width};
use crate::format;

const WIDTH: f64 = 900.0;
/// Where the bars begin at least.
const LEFT: f64 = 268.0;
const RIGHT: f64 = 760.0;
const STEP: f64 = 28.0;
const BAR: f64 = 18.0;

/// What a term is, which is also how it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Where the sum starts from.
    Base,
    /// Work that takes longer than in the base.
    Compute,
    /// Time in which nothing is computed.
    Bubble,
    /// The sum.
    Total,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Base, Self::Compute, Self::Bubble, Self::Total];

    fn class(self) -> &'static str {
        match self {
            Self::Base => "s0",
            Self::Compute => "s2",
            Self::Bubble => "s5",
            Self::Total => "other",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Base => "compute of the baseline",
            Self::Compute => "extra compute of the same work",
            Self::Bubble => "bubble",
            Self::Total => "sum",
        }
    }
}

/// One term; negative where it takes less.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) ns: i64,
    /// What is printed beside the bar.
    pub(crate) value: String,
}

/// Everything that the picture shows. A term of [`Kind::Total`] stands for itself and begins at zero.
#[derive(Clone, Debug)]
pub(crate) struct Waterfall {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) terms: Vec<Term>,
}

impl Waterfall {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut body = Element::new("g");
        legend::heading(&mut body, &self.title, &self.subtitle, WIDTH);
        let used = |kind: &Kind| self.terms.iter().any(|term| term.kind == *kind);
        let entries: Vec<Entry> =
            Kind::ALL.into_iter().filter(used).map(|kind| Entry::filled(kind.class(), kind.name())).collect();
        let top = legend::flow(&mut body, &entries, (24.0, 78.0), WIDTH - 24.0) + 4.0;
        let bottom = top + self.terms.len() as f64 * STEP + 4.0;
        let steps = self.steps();
        let low = steps.iter().map(|step| step.0.min(step.1)).min().unwrap_or(0).min(0);
        let high = steps.iter().map(|step| step.0.max(step.1)).max().unwrap_or(0);
        let scale = Scale::linear(low as f64 / 1e6, high as f64 / 1e6, (self.left(), RIGHT));
        draw_axis(&mut body, &scale, (top, bottom));
        for (index, (term, step)) in self.terms.iter().zip(&steps).enumerate() {
            let last = index + 1 == self.terms.len();
            term.draw(&mut body, &scale, *step, top + 6.0 + index as f64 * STEP, last);
        }
        picture(&self.id, (WIDTH, bottom + 34.0), &self.title, &self.description()).child(body).render()
    }

    /// Where the bars begin: right of the longest label.
    fn left(&self) -> f64 {
        self.terms.iter().map(|term| 34.0 + text_width(&term.short(), 13.0)).fold(LEFT, f64::max)
    }

    /// Where each bar begins and ends.
    fn steps(&self) -> Vec<(i64, i64)> {
        let mut reached = 0_i64;
        let step = |term: &Term| {
            if term.kind == Kind::Total {
                return (0, term.ns);
            }
            let from = reached;
            reached = from.saturating_add(term.ns);
            (from, reached)
        };
        self.terms.iter().map(step).collect()
    }

    fn description(&self) -> String {
        self.terms.iter().map(|term| format!("{}: {}", term.label, term.value)).collect::<Vec<_>>().join(". ")
    }
}

impl Term {
    /// The label, cut to what the chart has room for.
    fn short(&self) -> String {
        fit(&self.label, 13.0, 300.0)
    }

    fn draw(&self, svg: &mut Element, scale: &Scale, (from, to): (i64, i64), y: f64, last: bool) {
        let (start, end) = (scale.pixel(from as f64 / 1e6), scale.pixel(to as f64 / 1e6));
        let (left, right) = (start.min(end), start.max(end));
        svg.push(text(scale.pixels().0 - 10.0, y + 13.5, "ink t13 end", &self.short()));
        let class = format!("{} slim", self.kind.class());
        // A term too small to see keeps a mark of one pixel.
        let bar = rect(left, y, (right - left).max(1.0), BAR, &class);
        svg.push(bar.tooltip(&format!("{}: {}", self.label, self.value)));
        if !last {
            svg.push(line((end, y + BAR), (end, y + STEP), "leader"));
        }
        svg.push(text(right + 7.0, y + 13.5, "ink t12 halo", &self.value));
    }
}

/// A term's value with its sign, so that a gain cannot be read as a loss.
pub(crate) fn signed(ns: i64, kind: Kind) -> String {
    let text = format::duration(ns);
    if ns > 0 && matches!(kind, Kind::Compute | Kind::Bubble) { format!("+{text}") } else { text }
}

fn draw_axis(svg: &mut Element, scale: &Scale, (top, bottom): (f64, f64)) {
    let (low, high) = scale.ends();
    let ticks = linear_ticks(low, high, 7);
    for tick in &ticks {
        let x = scale.pixel(*tick);
        svg.push(line((x, top), (x, bottom), "grid"));
        svg.push(text(x, bottom + 17.0, "ink t12 middle", &tick_label(*tick, &ticks)));
    }
    let (left, right) = scale.pixels();
    svg.push(line((left, bottom), (right, bottom), "axis"));
    svg.push(text(RIGHT + 30.0, bottom + 17.0, "muted t12", "ms"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(terms: &[(Kind, i64)]) -> Waterfall {
        let term = |(kind, ns): &(Kind, i64)| Term {
            label: "a<b".to_owned(),
            kind: *kind,
            ns: *ns,
            value: signed(*ns, *kind),
        };
        let terms = terms.iter().map(term).collect();
        Waterfall { id: "w".to_owned(), title: "t".to_owned(), subtitle: String::new(), terms }
    }

    #[test]
    fn each_term_begins_where_the_one_before_ended_also_after_a_gain() {
        let terms = [(Kind::Base, 100), (Kind::Compute, -20), (Kind::Bubble, 30), (Kind::Total, 110)];
        assert_eq!(chart(&terms).steps(), [(0, 100), (100, 80), (80, 110), (0, 110)]);
    }

    #[test]
    fn losses_carry_a_plus_and_gains_a_minus() {
        assert_eq!(signed(2_000_000, Kind::Bubble), "+2.00 ms");
        assert_eq!(signed(-2_000_000, Kind::Compute), "-2.00 ms");
        assert_eq!(signed(2_000_000, Kind::Base), "2.00 ms");
    }

    #[test]
    fn labels_are_escaped_and_no_terms_still_draw() {
        assert!(chart(&[(Kind::Base, 5)]).render().contains("a&lt;b"));
        assert!(!chart(&[]).render().contains("NaN"));
    }
}
