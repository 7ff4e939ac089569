//! What limits a kernel, as every roofline draws it: by colour and by shape, so that neither is needed to tell it.

use super::svg::{Element, path, rect};

/// What gives a kernel its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limiter {
    Compute,
    Memory,
    Link,
    Unknown,
}

impl Limiter {
    /// Every limiter, in the order of a legend.
    pub(crate) const ALL: [Self; 4] = [Self::Compute, Self::Memory, Self::Link, Self::Unknown];

    /// The limiter that a result row names.
    pub(crate) fn of(name: Option<&str>) -> Self {
        match name {
            Some("compute") => Self::Compute,
            Some("memory") => Self::Memory,
            Some("link") => Self::Link,
            _ => Self::Unknown,
        }
    }

    /// What the legend calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Compute => "limited by compute",
            Self::Memory => "limited by memory",
            Self::Link => "limited by a link",
            Self::Unknown => "limiter unknown",
        }
    }

    /// The CSS class of its filled marker.
    pub(crate) fn fill(self) -> &'static str {
        match self {
            Self::Compute => "l-compute",
            Self::Memory => "l-memory",
            Self::Link => "l-link",
            Self::Unknown => "l-unknown",
        }
    }

    /// The CSS class of its hollow marker.
    fn outline(self) -> &'static str {
        match self {
            Self::Compute => "o-compute",
            Self::Memory => "o-memory",
            Self::Link => "o-link",
            Self::Unknown => "o-unknown",
        }
    }

    /// Its filled marker, of about the area of a circle of that radius.
    pub(crate) fn marker(self, at: (f64, f64), radius: f64) -> Element {
        self.shape(at, radius, &format!("{} edge", self.fill()))
    }

    /// Its hollow marker, the outline of which tells a level: see [`outline_of`].
    pub(crate) fn hollow(self, at: (f64, f64), radius: f64, level: &str) -> Element {
        self.shape(at, radius, &format!("{} {}", self.outline(), outline_of(level)))
    }

    fn shape(self, (x, y): (f64, f64), radius: f64, class: &str) -> Element {
        // Side and diagonal that give each shape the area of the circle.
        let (side, diagonal) = (radius * 0.886, radius * 1.253);
        match self {
            Self::Memory => Element::new("circle").at("cx", x).at("cy", y).at("r", radius).class(class),
            Self::Link => rect(x - side, y - side, 2.0 * side, 2.0 * side, class),
            Self::Compute => {
                let (half, low, high) = (radius * 1.347, radius * 0.778, radius * 1.555);
                path(&format!("M{x:.1} {:.1}L{:.1} {:.1}H{:.1}Z", y - high, x + half, y + low, x - half), class)
            }
            Self::Unknown => path(
                &format!(
                    "M{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}Z",
                    y - diagonal,
                    x + diagonal,
                    y + diagonal,
                    x - diagonal
                ),
                class,
            ),
        }
    }
}

/// The CSS class of the outline that stands for a level other than the memory's.
pub(crate) fn outline_of(level: &str) -> &'static str {
    match level {
        "L2" | "MALL" | "L3" => "o-full",
        "L1" | "L0" => "o-dashed",
        _ => "o-dotted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limiter_has_its_own_shape() {
        let shape = |limiter: Limiter| {
            let svg = limiter.marker((0.0, 0.0), 10.0).render();
            let corners = svg.matches('L').count() + svg.matches('H').count();
            (svg.split([' ', '<']).nth(1).unwrap_or_default().to_owned(), corners)
        };
        let all = Limiter::ALL.map(shape);
        let wanted = [("path", 2), ("circle", 0), ("rect", 0), ("path", 3)];
        assert_eq!(all.each_ref().map(|(name, corners)| (name.as_str(), *corners)), wanted);
    }

    #[test]
    fn a_name_that_is_not_known_is_an_unknown_limiter() {
        assert_eq!(Limiter::of(Some("memory")), Limiter::Memory);
        assert_eq!([Limiter::of(Some("instruction")), Limiter::of(None)], [Limiter::Unknown; 2]);
    }
}
