//! Stacked columns in the order of time: one a step or iteration, warm-up shaded.

use std::cmp::Reverse;

use super::labels::Area;
use super::legend::{self, Entry};
use super::plane::{self, places, time_unit};
use super::scale::Scale;
use super::style::picture;
use super::svg::{Element, fit, line, path, rect, text, text_width};
use crate::format;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 876.0;
const CLASSES: [&str; 8] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];
/// Columns of a panel: more would be narrower than three pixels.
const MOST: usize = 240;
/// A column this many times longer than the median is cut at half of that, so that the others can be read.
const CUT: i64 = 8;

/// One step or iteration.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// What stands below it.
    pub(crate) number: String,
    /// Nanoseconds of each part, in the order of the keys.
    pub(crate) parts: Vec<i64>,
    /// Whether it is not in the steady state.
    pub(crate) shaded: bool,
    /// Name of the window that begins with it, where the columns are of several.
    pub(crate) begins: Option<String>,
    /// What the tooltip adds.
    pub(crate) tip: String,
}

impl Column {
    /// The sum of the parts.
    fn total(&self) -> i64 {
        self.parts.iter().fold(0, |sum: i64, part| sum.saturating_add((*part).max(0)))
    }
}

/// The columns of one device or of one pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) columns: Vec<Column>,
}

/// Everything that the picture shows.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) keys: Vec<String>,
    /// What the columns are, below the last axis.
    pub(crate) below: String,
    pub(crate) panels: Vec<Panel>,
    pub(crate) notes: Vec<String>,
}

impl Columns {
    /// The picture as SVG text.
    pub(crate) fn render(&self) -> String {
        let mut body = Element::new("g");
        legend::heading(&mut body, &self.title, &self.subtitle, WIDTH);
        let mut y = legend::flow(&mut body, &self.entries(), (24.0, 78.0), WIDTH - 24.0) + 6.0;
        let height = if self.panels.len() > 2 { 100.0 } else { 150.0 };
        let mut notes = self.notes.clone();
        for panel in &self.panels {
            let plot = Area { x: LEFT, y: y + 34.0, width: RIGHT - LEFT, height };
            notes.extend(panel.draw(&mut body, plot, &self.keys));
            y = plot.y + plot.height + 24.0;
        }
        body.push(text(f64::midpoint(LEFT, RIGHT), y + 14.0, "ink t13 middle", &self.below));
        let lines = legend::wrap(&notes, 12.0, WIDTH - 48.0);
        legend::notes(&mut body, &lines, (24.0, y + 42.0));
        let height = (y + 38.0 + lines.len() as f64 * 17.0).ceil();
        picture(&self.id, (WIDTH, height), &self.title, &self.description()).child(body).render()
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.panels.iter().flat_map(|panel| &panel.columns)
    }

    fn entries(&self) -> Vec<Entry> {
        let used = |index: &usize| self.columns().any(|column| column.parts.get(*index).is_some_and(|part| *part > 0));
        let keys = (0..self.keys.len()).filter(used);
        let mut entries: Vec<Entry> =
            keys.map(|index| Entry::filled(CLASSES[index % CLASSES.len()], &self.keys[index])).collect();
        if self.columns().any(|column| column.shaded) {
            entries.push(Entry::filled("shade", "warm-up or cool-down"));
        }
        entries
    }

    fn description(&self) -> String {
        let panel = |panel: &Panel| {
            let longest = panel.columns.iter().map(Column::total).max().unwrap_or(0);
            format!("{}: {} columns, the longest {}", panel.title, panel.columns.len(), format::duration(longest))
        };
        self.panels.iter().map(panel).collect::<Vec<_>>().join(". ")
    }
}

impl Panel {
    /// Draws the panel; returns what has to be said about it.
    fn draw(&self, svg: &mut Element, plot: Area, keys: &[String]) -> Vec<String> {
        let shown = self.shown();
        let limit = limit(&shown);
        let (unit, name) = time_unit(limit as f64);
        let bottom = plot.y + plot.height;
        let y = Scale::linear(0.0, limit as f64 / unit, (bottom, plot.y));
        svg.push(text(LEFT, plot.y - 20.0, "ink t13 bold", &fit(&self.title, 13.0, 780.0)));
        let width = plot.width / shown.len().max(1) as f64;
        let left = |index: usize| plot.x + index as f64 * width;
        for (index, _) in shown.iter().enumerate().filter(|(_, column)| column.shaded) {
            svg.push(rect(left(index), plot.y, width, plot.height, "shade"));
        }
        plane::draw(svg, &y, plot, name);
        for (index, column) in shown.iter().enumerate() {
            if column.begins.is_some() && index > 0 {
                svg.push(line((left(index), plot.y - 4.0), (left(index), bottom), "leader"));
            }
            column.draw(svg, &y, unit, (left(index), width), keys);
        }
        for (index, label) in labels(&shown, width) {
            let at = left(index) + width / 2.0;
            svg.push(text(at, bottom + 16.0, "ink t12 middle", &label));
        }
        self.said(&shown, limit)
    }

    /// The columns to draw: all, or the longest of each group of neighbours.
    fn shown(&self) -> Vec<&Column> {
        let group = self.columns.len().div_ceil(MOST).max(1);
        let longest = |group: &'_ [Column]| (0..group.len()).min_by_key(|index| Reverse(group[*index].total()));
        self.columns.chunks(group).filter_map(|chunk| chunk.get(longest(chunk)?)).collect()
    }

    fn said(&self, shown: &[&Column], limit: i64) -> Vec<String> {
        let mut said = Vec::new();
        if shown.len() < self.columns.len() {
            let group = self.columns.len().div_ceil(MOST);
            said.push(format!("{}: each column is the longest of {group} neighbours.", self.title));
        }
        let cut: Vec<&&Column> = shown.iter().filter(|column| column.total() > limit).collect();
        if let Some(longest) = cut.iter().max_by_key(|column| column.total()) {
            said.push(format!(
                "{}: {} cut at {}; the longest, {}, takes {}.",
                self.title,
                if cut.len() == 1 { "1 column is".to_owned() } else { format!("{} columns are", cut.len()) },
                format::duration(limit),
                longest.number,
                format::duration(longest.total())
            ));
        }
        said
    }
}

/// What stands below which column: its number, or the name of the window that begins there.
fn labels(columns: &[&Column], width: f64) -> Vec<(usize, String)> {
    let begins = |(index, column): (usize, &&Column)| Some((index, column.begins.clone()?));
    let windows: Vec<(usize, String)> = columns.iter().enumerate().filter_map(begins).collect();
    if windows.is_empty() {
        return places(columns.len(), 8)
            .into_iter()
            .map(|index| (index, fit(&columns[index].number, 12.0, 90.0)))
            .collect();
    }
    let mut free = f64::NEG_INFINITY;
    let mut labels = Vec::new();
    for (index, name) in windows {
        let (name, middle) = (fit(&name, 12.0, 90.0), (index as f64 + 0.5) * width);
        let half = text_width(&name, 12.0) / 2.0;
        if middle - half > free {
            labels.push((index, name));
            free = middle + half + 8.0;
        }
    }
    labels
}

/// The upper end of the axis: the longest column, or less where that would make the others too small to read.
fn limit(columns: &[&Column]) -> i64 {
    let mut totals: Vec<i64> = columns.iter().map(|column| column.total()).collect();
    totals.sort_unstable();
    let median = totals.get(totals.len() / 2).copied().unwrap_or(0);
    let longest = totals.last().copied().unwrap_or(0);
    let cut = median.saturating_mul(CUT);
    if median > 0 && longest > cut { cut / 2 } else { longest.max(1) }
}

impl Column {
    fn draw(&self, svg: &mut Element, y: &Scale, unit: f64, (left, width): (f64, f64), keys: &[String]) {
        let gap = if width > 6.0 { (width * 0.15).min(8.0) } else { 0.0 };
        // A single column would fill the picture.
        let thick = (width - gap).min(120.0);
        let left = left + (width - thick) / 2.0;
        let mut column = Element::new("g");
        let (mut from, top) = (0.0, y.ends().1);
        for (index, part) in self.parts.iter().enumerate().filter(|(_, part)| **part > 0) {
            let to = from + *part as f64 / unit;
            let (low, high) = (y.pixel(from.min(top)), y.pixel(to.min(top)));
            if low - high > 0.0 {
                column.push(rect(left, high, thick, low - high, CLASSES[index % CLASSES.len()]));
            }
            from = to;
        }
        if from > top * 1.000_001 {
            let (at, end) = (left + thick / 2.0, y.pixel(top));
            let mark = format!("M{:.1} {:.1}h8l-4 -6z", at - 4.0, end - 2.0);
            column.push(path(&mark, "dot"));
        }
        svg.push(column.tooltip(&self.tooltip(keys)));
    }

    fn tooltip(&self, keys: &[String]) -> String {
        let part = |(key, ns): (&String, &i64)| (*ns > 0).then(|| format!("{key} {}", format::duration(*ns)));
        let parts: Vec<String> = keys.iter().zip(&self.parts).filter_map(part).collect();
        format!("{}{}: {} ({})", self.number, self.tip, format::duration(self.total()), parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(totals: &[i64]) -> Columns {
        let column = |(index, total): (usize, &i64)| Column {
            number: index.to_string(),
            parts: vec![*total / 4, *total - *total / 4],
            shaded: index == 0,
            begins: None,
            tip: String::new(),
        };
        let columns = totals.iter().enumerate().map(column).collect();
        Columns {
            id: "c".to_owned(),
            title: "t".to_owned(),
            subtitle: String::new(),
            keys: vec!["first".to_owned(), "second".to_owned()],
            below: "step".to_owned(),
            panels: vec![Panel { title: "device <0>".to_owned(), columns }],
            notes: Vec::new(),
        }
    }

    #[test]
    fn parts_stand_on_one_another_and_warm_up_is_shaded() {
        let svg = chart(&[4_000_000, 2_000_000]).render();
        // 150 pixels are 4 ms: a quarter and the rest of each.
        assert!(svg.contains("height=\"37.5\"") && svg.contains("height=\"112.5\""), "{svg}");
        assert!(svg.contains("class=\"shade\"") && svg.contains(">warm-up or cool-down<"));
        assert!(svg.contains("device &lt;0&gt;") && svg.contains("0: 4.00 ms (first 1.00 ms, second 3.00 ms)"));
    }

    #[test]
    fn a_column_that_dwarfs_the_others_is_cut_and_said() {
        let svg = chart(&[1000, 1000, 1000, 90_000]).render();
        assert!(svg.contains("1 column is cut at 4.00 µs; the longest, 3, takes 90.0 µs."), "{svg}");
        assert!(!chart(&[1000, 1000, 7000]).render().contains("cut at"));
    }

    #[test]
    fn thousands_of_columns_become_the_longest_of_each_group() {
        let mut totals = vec![1000; 5000];
        totals[777] = 2000;
        let svg = chart(&totals).render();
        assert!(svg.contains("the longest of 21 neighbours") && svg.contains("777: 2.00 µs") && svg.len() < 200_000);
    }

    #[test]
    fn windows_are_named_where_they_begin_as_far_as_there_is_room() {
        let mut chart = chart(&[1000; 100]);
        for index in [0, 1, 50] {
            chart.panels[0].columns[index].begins = Some(format!("block {index}"));
        }
        let svg = chart.render();
        assert!(svg.contains(">block 0<") && svg.contains(">block 50<") && !svg.contains(">block 1<"), "{svg}");
    }

    #[test]
    fn hostile_and_absent_columns_still_draw() {
        for totals in [vec![i64::MAX; 3], vec![i64::MIN, 0], vec![], vec![0]] {
            let svg = chart(&totals).render();
            assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
        }
    }
}
