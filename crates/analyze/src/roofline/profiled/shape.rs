//! Grid and block of launches.

use std::collections::HashMap;

use polars::prelude::DataFrame;

use super::texts;
use crate::Error;

/// Extent of a launch in three dimensions.
pub(crate) type Dimensions = Option<[i64; 3]>;

/// Grid and block of a launch; `None` where the tool did not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Shape {
    /// Blocks.
    pub(crate) grid: Dimensions,
    /// Threads of a block.
    pub(crate) block: Dimensions,
}

impl Shape {
    /// Whether both are known.
    pub(crate) fn is_known(&self) -> bool {
        self.grid.is_some() && self.block.is_some()
    }
}

/// Number of a shape in [`Shapes`].
pub(crate) type ShapeId = u32;

/// Each distinct shape once.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    all: Vec<Shape>,
    numbers: HashMap<Shape, ShapeId>,
    last: Option<(Shape, ShapeId)>,
}

impl Shapes {
    /// The number of a shape, given when it is first seen.
    pub(crate) fn number(&mut self, shape: Shape) -> ShapeId {
        if let Some((_, number)) = self.last.filter(|last| last.0 == shape) {
            return number;
        }
        let number = *self.numbers.entry(shape).or_insert_with(|| {
            self.all.push(shape);
            self.all.len() as ShapeId - 1
        });
        self.last = Some((shape, number));
        number
    }

    /// Whether grid and block of that number are known.
    pub(crate) fn is_known(&self, number: ShapeId) -> bool {
        self.all.get(number as usize).is_some_and(Shape::is_known)
    }
}

/// A column of texts such as `(4,1,1)`.
pub(super) fn dimensions(frame: &DataFrame, name: &str) -> Result<Vec<Dimensions>, Error> {
    let mut known: HashMap<&str, Dimensions> = HashMap::new();
    let mut last = None::<(&str, Dimensions)>;
    let parsed = texts(frame, name)?.iter().map(|text| {
        let text = text?;
        if let Some((_, parsed)) = last.filter(|known| known.0 == text) {
            return parsed;
        }
        let parsed = *known.entry(text).or_insert_with(|| parse_dimensions(text));
        last = Some((text, parsed));
        parsed
    });
    Ok(parsed.collect())
}

/// `(4,1,1)`; a dimension that is left out is 1.
fn parse_dimensions(text: &str) -> Dimensions {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    let mut dimensions = [1; 3];
    let mut parts = inner.split(',');
    for (at, dimension) in dimensions.iter_mut().enumerate() {
        match parts.next() {
            Some(part) => *dimension = part.trim().parse().ok()?,
            None if at == 0 => return None,
            None => break,
        }
    }
    parts.next().is_none().then_some(dimensions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_read_as_the_tables_write_them() {
        assert_eq!(parse_dimensions("(4,1,2)"), Some([4, 1, 2]));
        assert_eq!(parse_dimensions("( 4 , 2 )"), Some([4, 2, 1]));
        for text in ["", "()", "4,1,1", "(4,1,1,1)", "(a,1,1)", "(99999999999999999999,1,1)"] {
            assert_eq!(parse_dimensions(text), None, "{text}");
        }
    }
}
