//! The timeline: one lane a queue, grouped by device; what is not coloured is idle.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::legend::{self, Entry};
use super::scale::{Scale, linear_ticks, tick_label};
use super::style::{Ink, picture};
use super::svg::{Element, bold_width, fit, fit_bold, line, number, path, rect, text, text_width};
use crate::format;

const WIDTH: f64 = 960.0;
/// Where the lanes begin at least.
const LEFT: f64 = 152.0;
const RIGHT: f64 = 872.0;
const LANE: f64 = 26.0;
const STEP: f64 = 34.0;
/// Spans narrower than this have no tooltip of their own and share one path.
const NARROW: f64 = 3.0;
/// Spans of one kind that are nearer than this are drawn as one: the gap would not be visible.
const INVISIBLE: f64 = 0.5;
/// With more wide spans than this the tooltips are left out, to keep the file small.
const MOST_TOOLTIPS: usize = 900;

/// One piece of work on a lane.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) start_ns: i64,
    pub(crate) end_ns: i64,
    pub(crate) ink: Ink,
    pub(crate) name: String,
    /// Micro-batch, printed into spans that are wide enough.
    pub(crate) micro_batch: Option<i64>,
}

/// One queue.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) device: String,
    pub(crate) queue: String,
    pub(crate) spans: Vec<Span>,
}

impl Lane {
    /// The device's name, cut to what a chart has room for.
    fn device(&self) -> String {
        fit_bold(&self.device, 13.0, 180.0)
    }

    /// The queue's name, cut to what a chart has room for.
    fn queue(&self) -> String {
        fit(&self.queue, 12.0, 140.0)
    }
}

/// One window over all lanes.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) window: (i64, i64),
}

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) panels: Vec<Panel>,
    pub(crate) notes: Vec<String>,
}

impl Timeline {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut body = Element::new("g");
        legend::heading(&mut body, &self.title, &self.subtitle, WIDTH);
        let mut y = self.draw_legend(&mut body, 78.0) + 10.0;
        for panel in &self.panels {
            y = self.draw_panel(&mut body, panel, y);
        }
        let lines = legend::wrap(&self.notes, 12.0, WIDTH - 48.0);
        legend::notes(&mut body, &lines, (24.0, y + 6.0));
        let height = (y + 10.0 + lines.len() as f64 * 17.0).ceil();
        picture(&self.id, (WIDTH, height), &self.title, &self.description()).child(body).render()
    }

    /// What the picture says, in words: how busy each queue is in each window.
    fn description(&self) -> String {
        let busy = |panel: &Panel| {
            let lane = |lane: &Lane| {
                let ratio = busy_ns(&lane.spans, panel.window) as f64 / span(panel.window) as f64;
                format!("{} {} busy {}", lane.device, lane.queue, format::percent(ratio))
            };
            format!("{}: {}", panel.title, self.lanes.iter().map(lane).collect::<Vec<_>>().join(", "))
        };
        self.panels.iter().map(busy).collect::<Vec<_>>().join(". ")
    }

    fn draw_legend(&self, svg: &mut Element, y: f64) -> f64 {
        let used = |ink: &Ink| self.lanes.iter().any(|lane| lane.spans.iter().any(|span| span.ink == *ink));
        let mut entries: Vec<Entry> =
            Ink::ALL.into_iter().filter(used).map(|ink| Entry::swatch(ink, &self.id)).collect();
        entries.push(Entry::filled("lane", "idle"));
        if self.lanes.iter().any(|lane| lane.spans.iter().any(|span| span.micro_batch.is_some())) {
            let sample = |x, y| text(x + 9.0, y + 4.5, "ink t12 middle", "0 1");
            entries.push(Entry { sample: Box::new(sample), name: "micro-batch".to_owned() });
        }
        legend::flow(svg, &entries, (24.0, y), WIDTH - 24.0)
    }

    fn draw_panel(&self, svg: &mut Element, panel: &Panel, top: f64) -> f64 {
        svg.push(text(24.0, top + 12.0, "ink t14 bold", &fit_bold(&panel.title, 14.0, WIDTH - 120.0)));
        svg.push(text(WIDTH - 20.0, top + 12.0, "muted t12 end", "busy"));
        let scale = Scale::linear(0.0, span(panel.window) as f64, (self.left(), RIGHT));
        let first = top + 24.0;
        let bottom = first + self.lanes.len() as f64 * STEP + self.groups() as f64 * 6.0;
        draw_axis(svg, &scale, span(panel.window), (first, bottom));
        let (mut y, mut device) = (first, None);
        for lane in &self.lanes {
            if device != Some(&lane.device) {
                y += 6.0;
            }
            draw_names(svg, lane, device != Some(&lane.device), (scale.pixels().0, y));
            device = Some(&lane.device);
            let ratio = busy_ns(&lane.spans, panel.window) as f64 / span(panel.window) as f64;
            svg.push(text(WIDTH - 20.0, y + 17.5, "ink t13 end", &format::percent(ratio)));
            self.draw_lane(svg, lane, panel.window, &scale, y);
            y += STEP;
        }
        bottom + 48.0
    }

    /// Where the lanes begin: right of the longest names.
    fn left(&self) -> f64 {
        let names =
            |lane: &Lane| 24.0 + bold_width(&lane.device(), 13.0) + 14.0 + text_width(&lane.queue(), 12.0) + 8.0;
        self.lanes.iter().map(names).fold(LEFT, f64::max)
    }

    fn groups(&self) -> usize {
        let mut devices: Vec<&String> = self.lanes.iter().map(|lane| &lane.device).collect();
        devices.dedup();
        devices.len()
    }

    fn draw_lane(&self, svg: &mut Element, lane: &Lane, window: (i64, i64), scale: &Scale, y: f64) {
        let (left, right) = scale.pixels();
        svg.push(rect(left, y, right - left, LANE, "lane"));
        let blocks = coalesce(&lane.spans, window, scale);
        let (wide, slivers): (Vec<&Block>, Vec<&Block>) = blocks.iter().partition(|block| block.width() >= NARROW);
        let mut narrow: BTreeMap<Ink, String> = BTreeMap::new();
        for (left, width, ink) in columns(&slivers) {
            // Writing to a String cannot fail.
            let (x, width) = (number(left), number(width));
            let data = narrow.entry(ink).or_default();
            let _ = write!(data, "M{x} {}h{width}v{}h-{width}z", number(y + 1.0), number(LANE - 2.0));
        }
        for (ink, data) in narrow {
            svg.push(ink.paint(path(&data, ink.class()), &self.id));
        }
        let tooltips = wide.len() <= MOST_TOOLTIPS / self.lanes.len().max(1);
        for block in wide {
            block.draw(svg, &self.id, y, tooltips);
        }
    }
}

/// One or more spans of a kind that are drawn as one shape.
#[derive(Clone, Debug, PartialEq)]
struct Block {
    left: f64,
    right: f64,
    ink: Ink,
    spans: usize,
    busy_ns: i64,
    start_ns: i64,
    name: String,
    micro_batch: Option<i64>,
}

impl Block {
    fn width(&self) -> f64 {
        self.right - self.left
    }

    fn draw(&self, svg: &mut Element, id: &str, y: f64, tooltip: bool) {
        let class = format!("{} slim", self.ink.class());
        let shape = self.ink.paint(rect(self.left, y + 1.0, self.width(), LANE - 2.0, &class), id);
        svg.push(if tooltip { shape.tooltip(&self.words()) } else { shape });
        let Some(label) = self.micro_batch.map(|number| number.to_string()) else { return };
        if self.width() >= text_width(&label, 12.0) + 4.0 && !matches!(self.ink, Ink::Kv | Ink::Copy) {
            let colour = if self.ink == Ink::Prefill { "on-dark" } else { "on-light" };
            svg.push(text(f64::midpoint(self.left, self.right), y + 17.5, &format!("{colour} t12 middle"), &label));
        }
    }

    fn words(&self) -> String {
        let start =
            format!("{} from {} ms of the window", format::duration(self.busy_ns), format::milliseconds(self.start_ns));
        match self.spans {
            1 => format!("{}: {start}", self.name),
            spans => format!("{spans} operations ({}): {start}", self.ink.name()),
        }
    }
}

/// Clips the spans to the window and joins neighbours of one kind whose gap could not be seen; wide spans stay apart,
/// so that each operation keeps its outline.
fn coalesce(spans: &[Span], window: (i64, i64), scale: &Scale) -> Vec<Block> {
    let mut clipped: Vec<&Span> =
        spans.iter().filter(|span| span.end_ns > window.0 && span.start_ns < window.1).collect();
    clipped.sort_by_key(|span| (span.start_ns, span.end_ns));
    let mut blocks: Vec<Block> = Vec::new();
    for span in clipped {
        let [start, end] =
            [span.start_ns.max(window.0), span.end_ns.min(window.1)].map(|at| at.saturating_sub(window.0));
        let (left, right) = (scale.pixel(start as f64), scale.pixel(end as f64));
        let joins = |last: &&mut Block| {
            last.ink == span.ink
                && left - last.right < INVISIBLE
                && (right - left < NARROW || last.width() < NARROW)
                && (last.micro_batch == span.micro_batch || right - left < NARROW && last.width() < NARROW)
        };
        if let Some(last) = blocks.last_mut().filter(joins) {
            last.right = last.right.max(right);
            last.spans += 1;
            last.busy_ns = last.busy_ns.saturating_add(end.saturating_sub(start));
            last.micro_batch = last.micro_batch.filter(|number| Some(*number) == span.micro_batch);
        } else {
            let (name, micro_batch) = (span.name.clone(), span.micro_batch);
            let busy_ns = end.saturating_sub(start);
            blocks.push(Block { left, right, ink: span.ink, spans: 1, busy_ns, start_ns: start, name, micro_batch });
        }
    }
    blocks
}

/// What is narrower than a pixel, as columns of one pixel in the ink that fills most of each; wider blocks as they are.
/// A column that is less than half busy is left idle where the one before it is drawn, so that sparse work looks sparse.
fn columns(slivers: &[&Block]) -> Vec<(f64, f64, Ink)> {
    let mut found: Vec<(f64, f64, Ink)> = Vec::new();
    let mut dense: BTreeMap<i64, BTreeMap<Ink, f64>> = BTreeMap::new();
    for block in slivers {
        if block.width() >= 1.0 {
            found.push((block.left, block.width(), block.ink));
        } else {
            *dense.entry(block.left.floor() as i64).or_default().entry(block.ink).or_default() += block.width();
        }
    }
    let mut before = i64::MIN;
    for (column, inks) in dense {
        let busy: f64 = inks.values().sum();
        let most = inks.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((ink, _)) = most.filter(|_| busy >= 0.5 || before != column.saturating_sub(1)) {
            found.push((column as f64, 1.0, ink));
            before = column;
        }
    }
    found
}

/// Length of a window, at least one nanosecond.
fn span(window: (i64, i64)) -> i64 {
    window.1.saturating_sub(window.0).max(1)
}

/// Length of the union of the spans inside a window.
pub(crate) fn busy_ns(spans: &[Span], window: (i64, i64)) -> i64 {
    let mut inside: Vec<(i64, i64)> = spans
        .iter()
        .map(|span| (span.start_ns.max(window.0), span.end_ns.min(window.1)))
        .filter(|(start, end)| start < end)
        .collect();
    inside.sort_unstable();
    let (mut busy, mut reached) = (0_i64, i64::MIN);
    for (start, end) in inside {
        busy = busy.saturating_add(end.saturating_sub(start.max(reached)).max(0));
        reached = reached.max(end);
    }
    busy
}

fn draw_names(svg: &mut Element, lane: &Lane, first: bool, (left, y): (f64, f64)) {
    if first {
        svg.push(text(24.0, y + 17.5, "ink t13 bold", &lane.device()));
    }
    svg.push(text(left - 8.0, y + 17.5, "muted t12 end", &lane.queue()));
}

fn draw_axis(svg: &mut Element, scale: &Scale, window_ns: i64, (top, bottom): (f64, f64)) {
    let ticks = linear_ticks(0.0, window_ns as f64 / 1e6, 8);
    for tick in &ticks {
        let x = scale.pixel(tick * 1e6);
        svg.push(line((x, top), (x, bottom), "grid"));
        svg.push(text(x, bottom + 17.0, "ink t12 middle", &tick_label(*tick, &ticks)));
    }
    let (left, right) = scale.pixels();
    svg.push(line((left, bottom), (right, bottom), "axis"));
    svg.push(text(WIDTH - 20.0, bottom + 17.0, "muted t12 end", "ms"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start_ns: i64, end_ns: i64, ink: Ink) -> Span {
        Span { start_ns, end_ns, ink, name: "gemm <x>".to_owned(), micro_batch: Some(1) }
    }

    fn scale(window: i64) -> Scale {
        Scale::linear(0.0, window as f64, (0.0, 100.0))
    }

    #[test]
    fn neighbours_below_a_pixel_become_one_shape_and_a_visible_gap_stays() {
        let spans = [span(0, 10, Ink::Decode), span(11, 20, Ink::Decode), span(60, 70, Ink::Decode)];
        let blocks = coalesce(&spans, (0, 1000), &scale(1000));
        assert_eq!(blocks.iter().map(|block| block.spans).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(blocks[0].busy_ns, 19);
    }

    #[test]
    fn wide_operations_keep_their_own_outline() {
        let spans = [span(0, 500, Ink::Prefill), span(500, 1000, Ink::Prefill)];
        assert_eq!(coalesce(&spans, (0, 1000), &scale(1000)).len(), 2);
    }

    #[test]
    fn spans_are_clipped_to_the_window_and_counted_once_where_they_overlap() {
        let spans = [span(-50, 50, Ink::Kv), span(20, 80, Ink::Kv), span(900, 2000, Ink::Kv)];
        assert_eq!(busy_ns(&spans, (0, 1000)), 180);
        assert!((coalesce(&spans, (0, 1000), &scale(1000))[0].left - 0.0).abs() < 1e-9);
    }

    #[test]
    fn hostile_times_saturate() {
        let spans = [span(i64::MIN, i64::MAX, Ink::Kv), span(i64::MIN, i64::MIN + 9, Ink::Kv)];
        assert_eq!(busy_ns(&spans, (i64::MIN, i64::MAX)), i64::MAX);
        let window = (i64::MIN, i64::MAX);
        assert!(coalesce(&spans, window, &scale(super::span(window))).iter().all(|block| block.right <= 100.0));
    }

    #[test]
    fn names_of_devices_and_queues_never_run_into_each_other() {
        let lane = |device: &str, queue: &str| Lane { device: device.into(), queue: queue.into(), spans: Vec::new() };
        let chart = |lane: Lane| Timeline {
            id: "x".to_owned(),
            title: "t".to_owned(),
            subtitle: String::new(),
            lanes: vec![lane],
            panels: Vec::new(),
            notes: Vec::new(),
        };
        assert!((chart(lane("cpu 0", "kv 2")).left() - LEFT).abs() < 1e-9);
        let long = chart(lane("rank 12 cuda 7", "compute 1234567"));
        assert!(long.left() > 24.0 + bold_width("rank 12 cuda 7", 13.0) + text_width("compute 1234567", 12.0) + 8.0);
        assert!(chart(lane(&"d".repeat(99), &"q".repeat(99))).left() < RIGHT / 2.0);
    }

    #[test]
    fn thousands_of_operations_stay_a_small_file() {
        let spans: Vec<Span> =
            (0..20_000).map(|index| span(index * 1000, index * 1000 + 700, Ink::ALL[index as usize % 2])).collect();
        let lane = |queue: &str| Lane { device: "device 0".to_owned(), queue: queue.to_owned(), spans: spans.clone() };
        let chart = Timeline {
            id: "timeline".to_owned(),
            title: "t".to_owned(),
            subtitle: String::new(),
            lanes: vec![lane("a"), lane("b"), lane("c"), lane("d")],
            panels: vec![Panel { title: "all".to_owned(), window: (0, 20_000_000) }],
            notes: Vec::new(),
        };
        let svg = chart.render();
        assert!(svg.len() < 300_000, "{} bytes", svg.len());
    }

    #[test]
    fn names_are_escaped_and_an_empty_window_draws() {
        let lanes = vec![Lane { device: "d&d".to_owned(), queue: "q".to_owned(), spans: vec![span(0, 90, Ink::Kv)] }];
        let panels = vec![
            Panel { title: "one".to_owned(), window: (0, 100) },
            Panel { title: "none".to_owned(), window: (5, 5) },
        ];
        let chart = Timeline {
            id: "x".to_owned(),
            title: "t".to_owned(),
            subtitle: String::new(),
            lanes,
            panels,
            notes: Vec::new(),
        };
        let svg = chart.render();
        assert!(svg.contains("d&amp;d") && svg.contains("gemm &lt;x&gt;") && svg.contains("url(#x-stripes)"));
        assert!(!svg.contains("NaN"));
    }
}
