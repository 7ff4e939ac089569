//! Legends and running text: entries that flow from left to right and wrap.

use super::style::Ink;
use super::svg::{Element, fit, fit_bold, rect, text, text_width};

const SIZE: f64 = 13.0;
const ROW: f64 = 20.0;

/// One legend entry: a sample, drawn around the middle of a 22 x 12 box, and its name.
pub(crate) struct Entry {
    pub(crate) sample: Box<dyn Fn(f64, f64) -> Element>,
    pub(crate) name: String,
}

impl Entry {
    /// A small filled box of that kind of work.
    pub(crate) fn swatch(ink: Ink, id: &str) -> Self {
        let id = id.to_owned();
        let sample = move |x, y| ink.paint(rect(x, y - 6.0, 18.0, 12.0, ink.class()), &id);
        Self { sample: Box::new(sample), name: ink.name().to_owned() }
    }

    /// A small filled box of a style class.
    pub(crate) fn filled(class: &'static str, name: &str) -> Self {
        Self { sample: Box::new(move |x, y| rect(x, y - 6.0, 18.0, 12.0, class)), name: name.to_owned() }
    }
}

/// Draws entries from (x, y) on, wrapping at `right`; returns the middle of the line after the last.
pub(crate) fn flow(svg: &mut Element, entries: &[Entry], from: (f64, f64), right: f64) -> f64 {
    spaced(svg, entries, from, right, 0.0)
}

/// The same with samples that are `wider` than the usual box, to its left.
pub(crate) fn spaced(svg: &mut Element, entries: &[Entry], (left, mut y): (f64, f64), right: f64, wider: f64) -> f64 {
    let mut x = left;
    for entry in entries {
        let width = 24.0 + text_width(&entry.name, SIZE) + 14.0 + wider;
        if x > left && x + width > right {
            (x, y) = (left, y + ROW);
        }
        svg.push((entry.sample)(x, y));
        svg.push(text(x + 24.0, y + 4.5, "ink t13", &entry.name));
        x += width;
    }
    y + ROW
}

/// Draws title and subtitle of a picture of that width.
pub(crate) fn heading(svg: &mut Element, title: &str, subtitle: &str, width: f64) {
    svg.push(text(24.0, 32.0, "ink title", &fit_bold(title, 17.0, width - 48.0)));
    svg.push(text(24.0, 54.0, "muted t13", &fit(subtitle, 13.0, width - 48.0)));
}

/// Breaks notes into lines that fit a width at that font size; a single word that is too wide is cut.
pub(crate) fn wrap(notes: &[String], size: f64, width: f64) -> Vec<String> {
    let mut lines = Vec::new();
    for note in notes {
        let mut line = String::new();
        for word in note.split_whitespace() {
            if !line.is_empty() && text_width(&format!("{line} {word}"), size) > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&fit(word, size, width));
        }
        lines.push(line);
    }
    lines
}

/// Draws notes below a chart.
pub(crate) fn notes(svg: &mut Element, lines: &[String], (x, mut y): (f64, f64)) {
    for line in lines {
        svg.push(text(x, y, "muted t12", line));
        y += 17.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_wrap_between_words_and_lose_none() {
        let lines = wrap(&["one two three four five six".to_owned()], 12.0, 80.0);
        assert!(lines.len() > 1);
        assert_eq!(lines.join(" "), "one two three four five six");
    }
}
