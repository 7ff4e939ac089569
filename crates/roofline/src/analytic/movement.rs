//! Operators that move data and compute nothing.
//!
//! Bytes are what is read and what is written, once. Of a table that is gathered from only the rows that are taken
//! count, at most the whole table.

use super::Operation;
use super::shapes::{Arguments, Tensor, product};
use crate::Precision;

#[derive(Clone, Copy)]
enum Kind {
    /// (target, source, non_blocking)
    Copy,
    /// (target, value)
    Fill,
    /// (table, .., index): places of both.
    Rows(usize, usize),
    /// (source, dim, index, ..): one element an index.
    Gather,
    /// (key, value, key cache, value cache, slots, ..)
    Cache,
}

const KINDS: &[(&str, Kind)] = &[
    ("aten::copy_", Kind::Copy),
    ("aten::fill_", Kind::Fill),
    ("aten::zero_", Kind::Fill),
    ("aten::embedding", Kind::Rows(0, 1)),
    ("aten::index_select", Kind::Rows(0, 2)),
    ("aten::gather", Kind::Gather),
    ("_C_cache_ops::reshape_and_cache", Kind::Cache),
    ("_C_cache_ops::reshape_and_cache_flash", Kind::Cache),
    ("sglang::store_cache", Kind::Cache),
    ("sgl_kernel::store_kv_cache", Kind::Cache),
];

pub(super) fn names(name: &str) -> bool {
    KINDS.iter().any(|(known, _)| *known == name)
}

pub(super) fn operation(name: &str, arguments: &Arguments) -> Option<Operation> {
    let (_, kind) = KINDS.iter().find(|(known, _)| *known == name)?;
    let moved = |kind, bytes, formula| Operation::new(kind, 0.0, bytes, Precision::F32, formula);
    match *kind {
        Kind::Copy => {
            let (target, source) = (arguments.tensor(0)?, arguments.tensor(1)?);
            moved("copy", target.bytes() + source.bytes(), "copy-2n")
        }
        Kind::Fill => moved("fill", arguments.tensor(0)?.bytes(), "fill-1n"),
        Kind::Rows(table, index) => {
            let (table, index) = (arguments.tensor(table)?, arguments.tensor(index)?);
            let (rows, row) = (*table.dims.first()? as f64, row_bytes(table));
            let taken = index.elements();
            moved("embedding", index.bytes() + row * (taken.min(rows) + taken), "rows-2n")
        }
        Kind::Gather => {
            // The index is often an expanded view, whose bytes are not known, so it does not count.
            let (source, index) = (arguments.tensor(0)?, arguments.tensor(2)?);
            let size = f64::from(source.element.size);
            let read = index.elements().min(source.elements());
            moved("embedding", size * (read + index.elements()), "gather-2n, index not counted")
        }
        Kind::Cache => {
            let (key, value, slots) = (arguments.tensor(0)?, arguments.tensor(1)?, arguments.tensor(4)?);
            let size = f64::from(arguments.tensor(2)?.element.size);
            let written = (key.elements() + value.elements()) * size;
            moved("copy", key.bytes() + value.bytes() + written + slots.bytes(), "cache-2n")
        }
    }
}

/// Bytes of what stands behind the first size.
fn row_bytes(table: &Tensor) -> f64 {
    table.dims.get(1..).map_or(0.0, product) * f64::from(table.element.size)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the counts are whole numbers")]
mod tests {
    use crate::analytic::operator;

    fn of(name: &str, shapes: &str, dtypes: &str) -> (f64, f64) {
        let op = operator(name, shapes, dtypes, None).unwrap();
        (op.flop, op.bytes)
    }

    #[test]
    fn copies_count_both_ends_at_their_own_size() {
        assert_eq!(of("aten::copy_", "[[8],[8],[]]", r#"["float","c10::Half","Scalar"]"#), (0.0, 48.0));
        assert_eq!(of("aten::fill_", "[[8],[]]", r#"["float","Scalar"]"#), (0.0, 32.0));
        // 5 tokens of 2 heads of 4: keys and values 2*40*2, written as 8 bits 2*40, 5 slots of 8.
        let dtypes = r#"["c10::Half","c10::Half","c10::Float8_e4m3fn","c10::Float8_e4m3fn","long int"]"#;
        let shapes = "[[5,2,4],[5,2,4],[9,16,2,4],[9,16,2,4],[5]]";
        assert_eq!(of("_C_cache_ops::reshape_and_cache_flash", shapes, dtypes), (0.0, 280.0));
    }

    #[test]
    fn of_a_table_only_the_rows_that_are_taken_count() {
        // 3 rows of 4 halves read and written, 3 indices of 8.
        assert_eq!(of("aten::embedding", "[[100,4],[3]]", r#"["c10::Half","long int"]"#), (0.0, 72.0));
        // 300 of a table of 100: read once.
        assert_eq!(of("aten::embedding", "[[100,4],[300]]", r#"["c10::Half","long int"]"#).1, 5600.0);
        assert_eq!(of("aten::gather", "[[100,4],[],[3,4]]", r#"["c10::Half","","long int"]"#), (0.0, 48.0));
        assert_eq!(operator("aten::embedding", "[[],[3]]", r#"["float","long int"]"#, None), None);
    }
}
