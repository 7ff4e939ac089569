//! The smallest SVG writer that the charts need: elements with attributes, everything from outside escaped.

use std::fmt::Write as _;

/// An SVG element that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    name: &'static str,
    attributes: String,
    content: String,
}

impl Element {
    /// An element without attributes.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, attributes: String::new(), content: String::new() }
    }

    /// With an attribute whose value is text.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.attributes, " {name}=\"{}\"", escape(value));
        self
    }

    /// With an attribute that is a length or coordinate, to a tenth of a pixel.
    pub(crate) fn at(mut self, name: &str, value: f64) -> Self {
        let _ = write!(self.attributes, " {name}=\"{}\"", number(value));
        self
    }

    /// With CSS classes.
    pub(crate) fn class(self, classes: &str) -> Self {
        self.set("class", classes)
    }

    /// With another element inside.
    pub(crate) fn child(mut self, child: Element) -> Self {
        self.push(child);
        self
    }

    /// With text inside.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.content.push_str(&escape(text));
        self
    }

    /// With content that is written as it is: only for constants of this crate.
    pub(crate) fn raw(mut self, content: &str) -> Self {
        self.content.push_str(content);
        self
    }

    /// With a tooltip.
    pub(crate) fn tooltip(self, text: &str) -> Self {
        self.child(Element::new("title").text(text))
    }

    /// Appends an element.
    #[expect(clippy::needless_pass_by_value, reason = "every caller makes the child for this one place")]
    pub(crate) fn push(&mut self, child: Element) {
        child.write(&mut self.content);
    }

    fn write(&self, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = if self.content.is_empty() {
            write!(out, "<{}{}/>", self.name, self.attributes)
        } else {
            write!(out, "<{0}{1}>{2}</{0}>", self.name, self.attributes, self.content)
        };
        // One element a line keeps a difference between two pictures readable.
        if self.name != "tspan" && self.name != "title" {
            out.push('\n');
        }
    }

    /// The element as text.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

/// A coordinate with at most one decimal.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{:.1}", if value.is_finite() { value } else { 0.0 });
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text that is safe between tags and inside a quoted attribute; characters that XML forbids are dropped.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(' '),
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {}
            character => safe.push(character),
        }
    }
    safe
}

/// A straight line.
pub(crate) fn line(from: (f64, f64), to: (f64, f64), classes: &str) -> Element {
    Element::new("line").at("x1", from.0).at("y1", from.1).at("x2", to.0).at("y2", to.1).class(classes)
}

/// A rectangle.
pub(crate) fn rect(x: f64, y: f64, width: f64, height: f64, classes: &str) -> Element {
    Element::new("rect").at("x", x).at("y", y).at("width", width).at("height", height).class(classes)
}

/// Text at its baseline; the classes name its size, colour and anchor.
pub(crate) fn text(x: f64, y: f64, classes: &str, content: &str) -> Element {
    Element::new("text").at("x", x).at("y", y).class(classes).text(content)
}

/// A path.
pub(crate) fn path(data: &str, classes: &str) -> Element {
    Element::new("path").set("d", data).class(classes)
}

/// `10` with its exponent raised.
pub(crate) fn power(x: f64, y: f64, classes: &str, exponent: i32) -> Element {
    let raised = Element::new("tspan")
        .at("dy", -5.0)
        .set("font-size", "10")
        .text(&exponent.to_string().replace('-', "\u{2212}"));
    text(x, y, classes, "10").child(raised)
}

/// Width of a text in pixels, an upper estimate: nothing may overlap in any font that `system-ui` stands for.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// The same for bold text, which is wider.
pub(crate) fn bold_width(text: &str, size: f64) -> f64 {
    text_width(text, size) * 1.13
}

/// Width of a character over the size of the font, in DejaVu Sans, the widest of the usual ones (rounded up, by class).
fn advance(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | '\'' | '|' => 0.30,
        ' ' | '.' | ',' | ':' | ';' | '/' | 'I' => 0.34,
        'f' | 't' | 'r' | '(' | ')' | '-' | '[' | ']' | '!' => 0.42,
        's' | 'c' | 'z' | '_' | 'k' | 'v' | 'x' | 'y' | '*' | 'J' | 'L' => 0.58,
        'm' | 'M' | 'W' | '%' | '@' | '\u{2026}' => 1.0,
        'w' | '+' | '=' | '<' | '>' | 'O' | 'Q' | '#' => 0.84,
        'A'..='Z' => 0.75,
        character if character.is_ascii() => 0.64,
        // Characters of East Asian scripts are as wide as they are high.
        character if character >= '\u{1100}' => 1.0,
        _ => 0.72,
    }
}

/// The text, cut with an ellipsis where it is wider than that many pixels.
pub(crate) fn fit(text: &str, size: f64, width: f64) -> String {
    cut(text, |text| text_width(text, size) <= width)
}

/// The text without its middle where it is wider than that many pixels: beginning and end tell kernels apart.
pub(crate) fn fit_middle(text: &str, size: f64, width: f64) -> String {
    cut_middle(text, |text| text_width(text, size) <= width)
}

/// The same for bold text.
pub(crate) fn fit_middle_bold(text: &str, size: f64, width: f64) -> String {
    cut_middle(text, |text| bold_width(text, size) <= width)
}

/// The same for bold text, cut at its end.
pub(crate) fn fit_bold(text: &str, size: f64, width: f64) -> String {
    cut(text, |text| bold_width(text, size) <= width)
}

fn cut_middle(text: &str, fits: impl Fn(&str) -> bool) -> String {
    if fits(text) {
        return text.to_owned();
    }
    let all: Vec<char> = text.chars().collect();
    // The end tells more than the beginning, which all instances of a template share.
    let kept = |count: usize| {
        let first: String = all.iter().take(count / 2).collect();
        let last: String = all.iter().skip(all.len() - count.div_ceil(2)).collect();
        format!("{}\u{2026}{}", first.trim_end(), last.trim_start())
    };
    // The widths of all numbers of characters need not ascend, but nearly do: the first that does not fit ends it.
    let count = (1..all.len().min(400)).take_while(|count| fits(&kept(*count))).last().unwrap_or(0);
    kept(count)
}

fn cut(text: &str, fits: impl Fn(&str) -> bool) -> String {
    if fits(text) {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        let longer = format!("{kept}{character}");
        if !fits(&format!("{longer}\u{2026}")) {
            break;
        }
        kept = longer;
    }
    format!("{}\u{2026}", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_from_outside_are_escaped() {
        let element = text(1.25, -0.04, "a\"b", "<script>&\u{1}\n").tooltip("x<y");
        assert_eq!(
            element.render(),
            "<text x=\"1.2\" y=\"0\" class=\"a&quot;b\">&lt;script&gt;&amp; <title>x&lt;y</title></text>\n"
        );
    }

    #[test]
    fn a_text_that_is_too_wide_is_cut_and_one_that_fits_stays() {
        assert_eq!(fit("compute 0", 12.0, 70.0), "compute 0");
        let short = fit("optimized_pipeline_parallelism", 13.0, 100.0);
        assert!(
            short.starts_with("optimi") && short.ends_with('\u{2026}') && text_width(&short, 13.0) <= 100.0,
            "{short}"
        );
        assert_eq!(fit("abc", 12.0, 0.0), "\u{2026}");
    }

    #[test]
    fn a_kernel_name_loses_its_middle_so_that_its_end_still_tells_it() {
        let names = ["Cijk_Alik_Bljk_BBS_BH_Bias_HA_S_SAV_WG16_16_1", "Cijk_Alik_Bljk_BBS_BH_Bias_HA_S_SAV_WG64_4_1"];
        let [one, other] = names.map(|name| fit_middle(name, 12.0, 150.0));
        assert!(one != other && one.starts_with("Cijk") && one.ends_with("16_16_1"), "{one}");
        assert!(text_width(&one, 12.0) <= 150.0);
        assert_eq!(
            (fit_middle("gemm", 12.0, 150.0).as_str(), fit_middle("abc", 12.0, 0.0).as_str()),
            ("gemm", "\u{2026}")
        );
    }

    #[test]
    fn a_number_that_is_not_finite_never_reaches_the_file() {
        assert_eq!([number(f64::NAN), number(12.0), number(0.05)], ["0", "12", "0.1"]);
    }
}
