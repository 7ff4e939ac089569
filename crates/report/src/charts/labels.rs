//! Where the labels of a chart go: greedily, so that no label covers another one, a marker or the edge.

/// An axis-parallel box in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Area {
    /// The box around a centre.
    pub(crate) fn around(centre: (f64, f64), radius: f64) -> Self {
        Self { x: centre.0 - radius, y: centre.1 - radius, width: 2.0 * radius, height: 2.0 * radius }
    }

    /// Whether two boxes share any surface.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.width
            && other.x < self.x + self.width
            && self.y < other.y + other.height
            && other.y < self.y + self.height
    }

    /// Whether `inner` lies inside.
    pub(crate) fn holds(&self, inner: &Self) -> bool {
        inner.x >= self.x
            && inner.y >= self.y
            && inner.x + inner.width <= self.x + self.width
            && inner.y + inner.height <= self.y + self.height
    }

    /// The box, moved by as little as it takes to lie inside `bounds` (it still sticks out where it is too large).
    fn inside(self, bounds: Area) -> Self {
        let x = self.x.min(bounds.x + bounds.width - self.width).max(bounds.x);
        let y = self.y.min(bounds.y + bounds.height - self.height).max(bounds.y);
        Self { x, y, ..self }
    }

    /// The point of the box that is nearest to another point: where a leader line ends.
    pub(crate) fn nearest(&self, point: (f64, f64)) -> (f64, f64) {
        (point.0.clamp(self.x, self.x + self.width), point.1.clamp(self.y, self.y + self.height))
    }

    fn crossed_by(&self, from: (f64, f64), to: (f64, f64)) -> bool {
        let corner = (from.0.min(to.0) - 0.5, from.1.min(to.1) - 0.5);
        let size = ((to.0 - from.0).abs() + 1.0, (to.1 - from.1).abs() + 1.0);
        if !self.overlaps(&Self { x: corner.0, y: corner.1, width: size.0, height: size.1 }) {
            return false;
        }
        // Sampled every few pixels: boxes are at least a text line high, so none is stepped over.
        let steps = (((to.0 - from.0).hypot(to.1 - from.1)) / 4.0).ceil().clamp(1.0, 1000.0);
        (0..=steps as u32).any(|step| {
            let share = f64::from(step) / steps;
            let point = (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
            self.overlaps(&Area::around(point, 0.5))
        })
    }
}

/// A label that wants a place.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// What it belongs to.
    pub(crate) anchor: (f64, f64),
    /// Radius of the marker there.
    pub(crate) radius: f64,
    /// Width and height of the text.
    pub(crate) size: (f64, f64),
    /// How much it is missed where it finds no place, 0 to about 1.
    pub(crate) weight: f64,
}

/// What the labels must respect.
#[derive(Clone, Debug, Default)]
pub(crate) struct Obstacles {
    /// Boxes that no label may touch.
    pub(crate) boxes: Vec<Area>,
    /// Lines that a label should not cover.
    pub(crate) lines: Vec<Line>,
    /// Markers without a label, which a label covers only in a crowd.
    pub(crate) soft: Vec<Area>,
    /// Farthest that a label may stand from its marker, in pixels; as far as it takes where there is none.
    pub(crate) reach: Option<f64>,
}

/// Directions in which a place is tried, the most readable first: right, left, above, below, then every 15 degrees.
const DIRECTIONS: [(f64, f64); 24] = [
    (1.0, 0.0),
    (-1.0, 0.0),
    (0.0, -1.0),
    (0.0, 1.0),
    (0.87, 0.5),
    (0.87, -0.5),
    (-0.87, 0.5),
    (-0.87, -0.5),
    (0.97, 0.26),
    (0.97, -0.26),
    (-0.97, 0.26),
    (-0.97, -0.26),
    (0.71, 0.71),
    (0.71, -0.71),
    (-0.71, 0.71),
    (-0.71, -0.71),
    (0.5, 0.87),
    (0.5, -0.87),
    (-0.5, 0.87),
    (-0.5, -0.87),
    (0.26, 0.97),
    (0.26, -0.97),
    (-0.26, 0.97),
    (-0.26, -0.97),
];

/// Distances from the marker's edge in pixels.
const DISTANCES: [f64; 13] = [6.0, 14.0, 26.0, 42.0, 62.0, 86.0, 112.0, 140.0, 170.0, 200.0, 230.0, 270.0, 320.0];

fn candidate(wanted: &Wanted, direction: (f64, f64), distance: f64) -> Area {
    let (width, height) = wanted.size;
    let reach = wanted.radius + distance;
    let centre = (wanted.anchor.0 + direction.0 * reach, wanted.anchor.1 + direction.1 * reach);
    // The box touches the point at `reach` with the side that faces the marker.
    let x = centre.0 - width / 2.0 + direction.0.clamp(-1.0, 1.0) * width / 2.0;
    let y = centre.1 - height / 2.0 + direction.1.clamp(-1.0, 1.0) * height / 2.0;
    Area { x, y, width, height }
}

/// A leader line that runs over another marker costs as much as being this much farther away.
const OVER_MARKER: f64 = 40.0;
/// The same for a label that covers a marker which has none.
const OVER_SOFT: f64 = 60.0;
/// The same for a label that covers a roof line.
const OVER_LINE: f64 = 500.0;

pub(crate) type Line = ((f64, f64), (f64, f64));

/// What was placed so far, and what must not be covered.
struct Taken<'a> {
    /// Boxes that neither a label nor a leader line may touch.
    texts: Vec<Area>,
    /// Markers: no label covers one, a leader line does only in a crowd.
    markers: Vec<Area>,
    leaders: Vec<Line>,
    lines: &'a [Line],
    soft: &'a [Area],
    reach: f64,
}

/// What a label without a place costs.
const UNPLACED: f64 = 10_000.0;

/// Places each label inside `bounds`; none where no place is left (the tooltip and the table still name it). A label
/// keeps off other labels and markers always, and off lines wherever some place does.
///
/// Each attempt is greedy. A crowd may need another order, or labels that begin farther out so that the leader lines of
/// the inner points find a way: the cheapest of a few attempts wins, the first one on ties.
pub(crate) fn place(labels: &[Wanted], bounds: Area, obstacles: &Obstacles) -> Vec<Option<Area>> {
    let mut best: Option<(f64, Vec<Option<Area>>)> = None;
    for nearest in [0, 3, 5] {
        for order in orders(labels) {
            let (cost, places) = attempt(labels, &order, nearest, bounds, obstacles);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, places));
            }
        }
    }
    best.map(|(_, places)| places).unwrap_or_default()
}

/// The given order, then from each side inwards, then the ones that would be missed most first.
fn orders(labels: &[Wanted]) -> [Vec<usize>; 6] {
    let sorted = |key: &dyn Fn(&Wanted) -> f64| {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|a, b| key(&labels[*a]).total_cmp(&key(&labels[*b])));
        order
    };
    [
        (0..labels.len()).collect(),
        sorted(&|label| label.anchor.0),
        sorted(&|label| -label.anchor.0),
        sorted(&|label| label.anchor.1),
        sorted(&|label| -label.anchor.1),
        sorted(&|label| -label.weight),
    ]
}

fn attempt(
    labels: &[Wanted],
    order: &[usize],
    nearest: usize,
    bounds: Area,
    obstacles: &Obstacles,
) -> (f64, Vec<Option<Area>>) {
    let markers = labels.iter().map(|label| Area::around(label.anchor, label.radius + 1.0)).collect();
    let mut taken = Taken {
        texts: obstacles.boxes.clone(),
        markers,
        leaders: Vec::new(),
        lines: &obstacles.lines,
        soft: &obstacles.soft,
        reach: obstacles.reach.unwrap_or(f64::INFINITY),
    };
    let (mut total, mut placed) = (0.0, vec![None; labels.len()]);
    for own in order {
        let label = &labels[*own];
        let Some((cost, area)) = taken.best(label, *own, nearest, bounds) else {
            total += UNPLACED * (1.0 + 10.0 * label.weight.max(0.0));
            continue;
        };
        total += cost;
        taken.texts.push(area);
        taken.leaders.push((label.anchor, area.nearest(label.anchor)));
        placed[*own] = Some(area);
    }
    (total, placed)
}

impl Taken<'_> {
    fn best(&self, label: &Wanted, own: usize, nearest: usize, bounds: Area) -> Option<(f64, Area)> {
        let mut best: Option<(f64, Area)> = None;
        for distance in DISTANCES.into_iter().skip(nearest).filter(|distance| *distance <= self.reach) {
            for (rank, direction) in DIRECTIONS.into_iter().enumerate() {
                let area = candidate(label, direction, distance).inside(bounds);
                if bounds.holds(&area) && self.is_free(label, &area) {
                    let cost = distance + rank as f64 + self.penalty(label, own, &area);
                    best = best.filter(|(least, _)| *least <= cost).or(Some((cost, area)));
                }
            }
        }
        best
    }

    fn is_free(&self, label: &Wanted, area: &Area) -> bool {
        let leader = (label.anchor, area.nearest(label.anchor));
        !self.texts.iter().chain(&self.markers).any(|other| other.overlaps(area))
            && !self.leaders.iter().any(|(from, to)| area.crossed_by(*from, *to))
            && !self.texts.iter().any(|other| other.crossed_by(leader.0, leader.1))
    }

    fn penalty(&self, label: &Wanted, own: usize, area: &Area) -> f64 {
        let leader = (label.anchor, area.nearest(label.anchor));
        let lines = self.lines.iter().filter(|(from, to)| area.crossed_by(*from, *to)).count();
        let others = self.markers.iter().enumerate().filter(|(index, _)| *index != own);
        let markers = others.filter(|(_, marker)| marker.crossed_by(leader.0, leader.1)).count();
        let soft = self.soft.iter().filter(|other| other.overlaps(area)).count();
        lines as f64 * OVER_LINE + markers as f64 * OVER_MARKER + soft as f64 * OVER_SOFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Area = Area { x: 0.0, y: 0.0, width: 800.0, height: 500.0 };

    fn crowd(points: usize) -> Vec<Wanted> {
        (0..points)
            .map(|index| {
                let step = index as f64;
                Wanted {
                    anchor: (380.0 + 5.0 * step, 240.0 + (step * 7.0) % 23.0),
                    radius: 6.0,
                    size: (150.0, 28.0),
                    weight: 0.0,
                }
            })
            .collect()
    }

    #[test]
    fn no_two_labels_of_a_crowd_overlap_nor_cover_a_marker_nor_leave_the_chart() {
        // Six points within 25 x 23 pixels all get their label; of nine, more than half.
        assert!(place(&crowd(6), BOUNDS, &Obstacles::default()).iter().all(Option::is_some));
        let labels = crowd(9);
        let obstacles = Obstacles { lines: vec![((0.0, 400.0), (800.0, 100.0))], ..Obstacles::default() };
        let placed: Vec<Area> = place(&labels, BOUNDS, &obstacles).into_iter().flatten().collect();
        assert!(placed.len() >= 5, "only {} of 9 labels found a place", placed.len());
        for (index, area) in placed.iter().enumerate() {
            assert!(BOUNDS.holds(area));
            assert!(placed[index + 1..].iter().all(|other| !other.overlaps(area)), "label {index} overlaps another");
            let marker = |label: &Wanted| Area::around(label.anchor, label.radius);
            assert!(labels.iter().all(|label| !marker(label).overlaps(area)), "label {index} covers a marker");
        }
    }

    #[test]
    fn a_lonely_label_stands_right_beside_its_marker() {
        let placed = place(&crowd(1), BOUNDS, &Obstacles::default());
        assert_eq!(placed, [Some(Area { x: 392.0, y: 226.0, width: 150.0, height: 28.0 })]);
    }

    #[test]
    fn a_label_avoids_a_roof_line_where_another_place_is_free() {
        let roof = ((0.0, 240.0), (800.0, 240.0));
        let obstacles = Obstacles { lines: vec![roof], ..Obstacles::default() };
        let placed = place(&crowd(1), BOUNDS, &obstacles)[0].expect("a place");
        assert!(!placed.crossed_by(roof.0, roof.1));
    }

    #[test]
    fn no_label_stands_farther_from_its_marker_than_it_may() {
        let wall = Area { x: 340.0, y: 200.0, width: 80.0, height: 80.0 };
        let near = Obstacles { boxes: vec![wall], reach: Some(20.0), ..Obstacles::default() };
        assert_eq!(place(&crowd(1), BOUNDS, &near), [None]);
    }

    #[test]
    fn a_label_that_fits_nowhere_is_left_out() {
        let tiny = Area { width: 100.0, ..BOUNDS };
        assert_eq!(place(&crowd(1), tiny, &Obstacles::default()), [None]);
    }
}
