//! Colours, patterns and text styles of every chart: one table with a light and a dark value each.
//!
//! A chart is drawn on its own opaque card, so it stays readable on any page. The phases differ in lightness and in
//! pattern or marker, so that a greyscale print still tells them apart.

use std::fmt::Write as _;

use super::svg::{Element, path, rect};

/// One CSS class: its constant declarations, then `property, light, dark` triples.
struct Rule {
    class: &'static str,
    constant: &'static str,
    themed: &'static [(&'static str, &'static str, &'static str)],
}

/// Constant part of a hollow marker: it hides nothing that lies under it.
const HOLLOW: &str = "fill-opacity:0";

const RULES: &[Rule] = &[
    Rule { class: "card", constant: "", themed: &[("fill", "#ffffff", "#11161d"), ("stroke", "#d0d7de", "#323a45")] },
    Rule { class: "lane", constant: "", themed: &[("fill", "#f6f8fa", "#171d26"), ("stroke", "#c9d1d9", "#3a434f")] },
    Rule { class: "shade", constant: "", themed: &[("fill", "#fff1d2", "#33280f")] },
    Rule { class: "faint", constant: "", themed: &[("fill", "#cfe3fa", "#1c3a5e")] },
    Rule { class: "mean", constant: "fill:none;stroke-width:1.6", themed: &[("stroke", "#0b4f9e", "#5aa2f0")] },
    Rule { class: "m0", constant: "", themed: &[("stroke", "#0b4f9e", "#5aa2f0"), ("fill", "#0b4f9e", "#5aa2f0")] },
    Rule { class: "m1", constant: "", themed: &[("stroke", "#c8641b", "#f0a04b"), ("fill", "#c8641b", "#f0a04b")] },
    Rule { class: "m2", constant: "", themed: &[("stroke", "#5b3a8c", "#c4a7f0"), ("fill", "#5b3a8c", "#c4a7f0")] },
    Rule { class: "m3", constant: "", themed: &[("stroke", "#3c7d4f", "#8fd6a5"), ("fill", "#3c7d4f", "#8fd6a5")] },
    Rule { class: "m4", constant: "", themed: &[("stroke", "#57606a", "#9aa5b1"), ("fill", "#57606a", "#9aa5b1")] },
    Rule { class: "hollow", constant: "fill-opacity:0;stroke-width:1.8", themed: &[] },
    Rule { class: "ink", constant: "", themed: &[("fill", "#1f2328", "#e6edf3")] },
    Rule { class: "muted", constant: "", themed: &[("fill", "#57606a", "#9aa5b1")] },
    Rule { class: "on-dark", constant: "", themed: &[("fill", "#ffffff", "#0b1017")] },
    Rule { class: "on-light", constant: "", themed: &[("fill", "#1f2328", "#11161d")] },
    Rule {
        class: "halo",
        constant: "stroke-width:3px;stroke-linejoin:round;paint-order:stroke",
        themed: &[("stroke", "#ffffff", "#11161d")],
    },
    Rule { class: "title", constant: "font-size:17px;font-weight:600", themed: &[] },
    Rule { class: "t14", constant: "font-size:14px", themed: &[] },
    Rule { class: "t13", constant: "font-size:13px", themed: &[] },
    Rule { class: "t12", constant: "font-size:12px", themed: &[] },
    Rule { class: "t10", constant: "font-size:10px", themed: &[] },
    Rule { class: "bold", constant: "font-weight:600", themed: &[] },
    Rule { class: "end", constant: "text-anchor:end", themed: &[] },
    Rule { class: "middle", constant: "text-anchor:middle", themed: &[] },
    Rule { class: "axis", constant: "fill:none;stroke-width:1.2", themed: &[("stroke", "#57606a", "#8b949e")] },
    Rule { class: "grid", constant: "fill:none;stroke-width:1", themed: &[("stroke", "#d8dee4", "#2d3641")] },
    Rule { class: "fine", constant: "fill:none;stroke-width:1", themed: &[("stroke", "#eff2f5", "#1b222c")] },
    Rule { class: "leader", constant: "fill:none;stroke-width:1", themed: &[("stroke", "#57606a", "#9aa5b1")] },
    Rule { class: "roof", constant: "fill:none;stroke-width:2.4", themed: &[("stroke", "#1f2328", "#e6edf3")] },
    Rule {
        class: "sheet",
        constant: "fill:none;stroke-width:1.6;stroke-dasharray:9 5",
        themed: &[("stroke", "#57606a", "#9aa5b1")],
    },
    Rule {
        class: "observed",
        constant: "fill:none;stroke-width:2;stroke-dasharray:0.5 4.5;stroke-linecap:round",
        themed: &[("stroke", "#57606a", "#9aa5b1")],
    },
    Rule {
        class: "shared",
        constant: "fill:none;stroke-width:1.8;stroke-dasharray:11 4 1.5 4",
        themed: &[("stroke", "#1f2328", "#e6edf3")],
    },
    Rule { class: "dot", constant: "", themed: &[("fill", "#1f2328", "#e6edf3")] },
    Rule { class: "edge", constant: "stroke-width:1.2", themed: &[("stroke", "#ffffff", "#11161d")] },
    Rule { class: "slim", constant: "stroke-width:.5", themed: &[("stroke", "#ffffff", "#11161d")] },
    Rule { class: "l-compute", constant: "", themed: &[("fill", "#c84e00", "#ff9a3d")] },
    Rule { class: "l-memory", constant: "", themed: &[("fill", "#0072b2", "#3fa0f0")] },
    Rule { class: "l-link", constant: "", themed: &[("fill", "#3b1466", "#e9d5ff")] },
    Rule { class: "l-unknown", constant: "", themed: &[("fill", "#8c959f", "#6e7681")] },
    Rule { class: "o-compute", constant: HOLLOW, themed: &[("stroke", "#c84e00", "#ff9a3d")] },
    Rule { class: "o-memory", constant: HOLLOW, themed: &[("stroke", "#0072b2", "#3fa0f0")] },
    Rule { class: "o-link", constant: HOLLOW, themed: &[("stroke", "#3b1466", "#e9d5ff")] },
    Rule { class: "o-unknown", constant: HOLLOW, themed: &[("stroke", "#8c959f", "#6e7681")] },
    Rule { class: "o-full", constant: "stroke-width:2", themed: &[] },
    Rule { class: "o-dashed", constant: "stroke-width:1.8;stroke-dasharray:4 2", themed: &[] },
    Rule { class: "o-dotted", constant: "stroke-width:1.8;stroke-dasharray:1.2 2", themed: &[] },
    Rule {
        class: "above",
        constant: "fill:none;stroke-width:1.6;stroke-dasharray:3 2.5",
        themed: &[("stroke", "#1f2328", "#e6edf3")],
    },
    Rule {
        class: "tie",
        constant: "fill:none;stroke-width:.8;stroke-dasharray:2 2",
        themed: &[("stroke", "#8c959f", "#6e7681")],
    },
    Rule { class: "prefill", constant: "", themed: &[("fill", "#0b4f9e", "#3f8fe8")] },
    Rule { class: "decode", constant: "", themed: &[("fill", "#f0a23c", "#ffd08a")] },
    Rule { class: "kv", constant: "", themed: &[("fill", "#c9b6e4", "#57407a")] },
    Rule { class: "copy", constant: "", themed: &[("fill", "#dfe3e8", "#3b4450")] },
    Rule { class: "other", constant: "", themed: &[("fill", "#8c959f", "#6e7681")] },
    Rule { class: "stripe", constant: "fill:none;stroke-width:1.6", themed: &[("stroke", "#4c2889", "#e2c5ff")] },
    Rule { class: "speck", constant: "", themed: &[("fill", "#57606a", "#aab4c0")] },
    Rule { class: "s0", constant: "", themed: &[("fill", "#0b4f9e", "#5aa2f0")] },
    Rule { class: "s1", constant: "", themed: &[("fill", "#9cc8f5", "#1d4f86")] },
    Rule { class: "s2", constant: "", themed: &[("fill", "#c8641b", "#f0a04b")] },
    Rule { class: "s3", constant: "", themed: &[("fill", "#fbdb9d", "#6b4a12")] },
    Rule { class: "s4", constant: "", themed: &[("fill", "#5b3a8c", "#c4a7f0")] },
    Rule { class: "s5", constant: "", themed: &[("fill", "#cdb8ea", "#4f3a72")] },
    Rule { class: "s6", constant: "", themed: &[("fill", "#3c7d4f", "#8fd6a5")] },
    Rule { class: "s7", constant: "", themed: &[("fill", "#dfe3e8", "#3b4450")] },
];

/// The style sheet: light, and dark where the reader prefers that.
fn sheet() -> String {
    let mut light = String::from("text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif}");
    let mut dark = String::new();
    for rule in RULES {
        // Writing to a String cannot fail.
        let _ = write!(light, ".{}{{{}", rule.class, rule.constant);
        if !rule.constant.is_empty() && !rule.themed.is_empty() {
            light.push(';');
        }
        let themed = |pick: fn(&(&str, &'static str, &'static str)) -> &'static str| {
            rule.themed.iter().map(|theme| format!("{}:{}", theme.0, pick(theme))).collect::<Vec<_>>().join(";")
        };
        let _ = write!(light, "{}}}", themed(|theme| theme.1));
        if !rule.themed.is_empty() {
            let _ = write!(dark, ".{}{{{}}}", rule.class, themed(|theme| theme.2));
        }
    }
    format!("{light}\n@media (prefers-color-scheme: dark){{{dark}}}")
}

/// The outer element: size, alternative text, styles, patterns and the card.
pub(crate) fn picture(id: &str, size: (f64, f64), title: &str, description: &str) -> Element {
    let ids = (format!("{id}-title"), format!("{id}-desc"));
    Element::new("svg")
        .set("xmlns", "http://www.w3.org/2000/svg")
        .set("viewBox", &format!("0 0 {} {}", size.0, size.1))
        .at("width", size.0)
        .at("height", size.1)
        .set("role", "img")
        .set("aria-labelledby", &format!("{} {}", ids.0, ids.1))
        .child(Element::new("title").set("id", &ids.0).text(title))
        .child(Element::new("desc").set("id", &ids.1).text(description))
        .child(Element::new("style").raw(&sheet()))
        .child(Element::new("defs").child(stripes(id)).child(specks(id)))
        .child(rect(0.5, 0.5, size.0 - 1.0, size.1 - 1.0, "card").at("rx", 6.0))
}

fn tile(id: &str, edge: f64) -> Element {
    Element::new("pattern").set("id", id).at("width", edge).at("height", edge).set("patternUnits", "userSpaceOnUse")
}

fn stripes(id: &str) -> Element {
    tile(&format!("{id}-stripes"), 6.0)
        .child(rect(0.0, 0.0, 6.0, 6.0, "kv"))
        .child(path("M-1 7L7 -1M-1 1L1 -1M5 7L7 5", "stripe"))
}

fn specks(id: &str) -> Element {
    let dot = |x, y| Element::new("circle").at("cx", x).at("cy", y).at("r", 0.9).class("speck");
    tile(&format!("{id}-specks"), 5.0).child(rect(0.0, 0.0, 5.0, 5.0, "copy")).child(dot(1.3, 1.3)).child(dot(3.8, 3.8))
}

/// What a piece of work is to the reader: its colour and pattern in every chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ink {
    Prefill,
    Decode,
    Kv,
    Copy,
    Other,
}

impl Ink {
    /// Every kind, in the order of a legend.
    pub(crate) const ALL: [Self; 5] = [Self::Prefill, Self::Decode, Self::Kv, Self::Copy, Self::Other];

    /// The kind that a phase of a built-in target is shown as.
    pub(crate) fn of_phase(phase: Option<&str>) -> Self {
        match phase {
            Some("prefill") => Self::Prefill,
            Some("decode") => Self::Decode,
            Some(phase) if phase.starts_with("kv") => Self::Kv,
            _ => Self::Other,
        }
    }

    /// What the legend calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill compute",
            Self::Decode => "decode compute",
            Self::Kv => "KV transfer",
            Self::Copy => "other copy or set",
            Self::Other => "other compute",
        }
    }

    /// Its CSS class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Kv => "kv",
            Self::Copy => "copy",
            Self::Other => "other",
        }
    }

    /// The shape with its colour, and its pattern where it has one.
    pub(crate) fn paint(self, shape: Element, id: &str) -> Element {
        match self {
            Self::Kv => shape.set("style", &format!("fill:url(#{id}-stripes)")),
            Self::Copy => shape.set("style", &format!("fill:url(#{id}-specks)")),
            _ => shape,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative lightness of `#rrggbb`, 0 to 1 (the weights of ITU-R BT.709, without gamma).
    fn lightness(colour: &str) -> f64 {
        let part = |at: usize| f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("a hex colour")) / 255.0;
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn fill(class: &str, dark: bool) -> f64 {
        let rule = RULES.iter().find(|rule| rule.class == class).expect("a class");
        lightness(if dark { rule.themed[0].2 } else { rule.themed[0].1 })
    }

    #[test]
    fn prefill_decode_and_the_card_differ_in_lightness_in_both_themes() {
        for dark in [false, true] {
            let [prefill, decode, card] = ["prefill", "decode", "card"].map(|class| fill(class, dark));
            assert!((prefill - decode).abs() > 0.25 && (decode - card).abs() > 0.25 && (prefill - card).abs() > 0.25);
        }
    }

    #[test]
    fn neighbours_in_a_stacked_bar_differ_in_lightness_in_both_themes() {
        for dark in [false, true] {
            let fills = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"].map(|class| fill(class, dark));
            assert!(fills.windows(2).all(|pair| (pair[0] - pair[1]).abs() > 0.2), "{fills:?}");
        }
    }

    #[test]
    fn text_contrasts_with_the_card_in_both_themes() {
        for dark in [false, true] {
            assert!((fill("ink", dark) - fill("card", dark)).abs() > 0.7);
            assert!((fill("muted", dark) - fill("card", dark)).abs() > 0.45);
        }
    }

    /// CIE L*a*b* (D65) of linear sRGB.
    fn lab(linear: [f64; 3]) -> [f64; 3] {
        let white = [0.95047, 1.0, 1.08883];
        let weights = [[0.412_46, 0.357_58, 0.180_44], [0.212_67, 0.715_15, 0.072_18], [0.019_33, 0.119_19, 0.950_30]];
        let root = |at: usize| {
            let part = product(weights, linear)[at] / white[at];
            if part > 0.008_856 { part.cbrt() } else { 7.787 * part + 16.0 / 116.0 }
        };
        [116.0 * root(1) - 16.0, 500.0 * (root(0) - root(1)), 200.0 * (root(1) - root(2))]
    }

    fn product(matrix: [[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0))
    }

    fn linear(colour: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| {
            let part = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("a hex colour")) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        })
    }

    #[test]
    fn limiters_differ_for_full_and_for_red_green_blind_sight_and_contrast_with_the_card_in_both_themes() {
        // Machado, Oliveira and Fernandes (2009), severity 1: none, deuteranopia, protanopia; on linear sRGB.
        let sights = [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]],
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
        ];
        let colour = |class: &str, dark: bool| {
            let rule = RULES.iter().find(|rule| rule.class == class).expect("a class");
            linear(if dark { rule.themed[0].2 } else { rule.themed[0].1 })
        };
        let luminance = |colour: [f64; 3]| 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2];
        let classes = ["l-compute", "l-memory", "l-link", "l-unknown"];
        for dark in [false, true] {
            let card = luminance(colour("card", dark)) + 0.05;
            for (index, class) in classes.into_iter().enumerate() {
                let own = luminance(colour(class, dark)) + 0.05;
                // WCAG 2.1, 1.4.11: graphics need a contrast of 3 to 1.
                assert!(own.max(card) / own.min(card) >= 3.0, "{class} on the card");
                for (other, sight) in classes[index + 1..].iter().flat_map(|other| sights.map(|sight| (other, sight))) {
                    let [a, b] = [colour(class, dark), colour(other, dark)].map(|colour| lab(product(sight, colour)));
                    let distance = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                    // A difference of about 2 is just visible; markers are small, so ten times that is asked for.
                    assert!(distance > 20.0, "{class} and {other}: {distance}");
                }
            }
        }
    }

    #[test]
    fn every_class_is_defined_once() {
        let mut names: Vec<_> = RULES.iter().map(|rule| rule.class).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
    }
}
