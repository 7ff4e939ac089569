//! Tables that fit the terminal: words and numbers are not broken while something else can give way.

/// The cells of a table as they are printed.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    /// Names of the columns, as in the schema.
    pub names: Vec<String>,
    /// Their headings.
    pub headings: Vec<String>,
    /// Cells, row by row.
    pub rows: Vec<Vec<String>>,
    /// Whether a column holds numbers.
    pub numeric: Vec<bool>,
}

/// Where a table was made to fit: what the cells no longer say, and the width of each column.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fitted {
    /// What all rows share: `target synthetic, window blocks`.
    pub shared: Vec<String>,
    /// Headings of the columns without any value.
    pub empty: Vec<String>,
    /// Headings of the columns for which there was no room.
    pub hidden: Vec<String>,
    /// Blanks between columns.
    pub between: usize,
    /// Width of each column that is left; empty where nothing had to change.
    pub widths: Vec<usize>,
}

/// Blanks between columns where a table need not be narrow, where it must, and where it still does not fit.
const BETWEEN: [usize; 3] = [3, 2, 1];
/// Columns that say what a row is about. Where all rows say the same it can stand above the table.
const IDENTITY: &[&str] = &["run", "target", "scope", "rank", "device", "window", "source", "group"];
/// Columns of sentences: these are wrapped, not shortened.
pub(crate) const PROSE: &[&str] = &[
    "title",
    "evidence",
    "try",
    "limits",
    "reason",
    "what it is",
    "parameters",
    "knobs",
    "state",
    "peaks",
    "found",
    "fix",
];
/// Columns that go first where columns have to go: they explain others.
const SPARE: &[&str] =
    &["precision", "roof_source", "limiter_level", "efficiency_datasheet_ratio", "source", "arithmetic_intensity"];
/// No text column is made narrower.
const NARROWEST: usize = 12;
/// So many columns are kept whatever the width.
const KEPT: usize = 3;

/// Makes the grid fit into `width`: what all rows share moves above the table, columns without a value are named below it,
/// the widest texts give way, and at last columns, those that explain others first, then from the right.
pub(crate) fn fit(grid: &mut Grid, width: usize) -> Fitted {
    let natural: usize = (0..grid.names.len()).map(|column| grid.width(column, false) + BETWEEN[0]).sum();
    if natural <= width || grid.rows.is_empty() {
        return Fitted::default();
    }
    let mut fitted = Fitted { between: BETWEEN[1], ..Fitted::default() };
    if grid.rows.len() > 1 && !grid.fits(width) {
        fitted.shared = grid.take_shared();
    }
    if !grid.fits(width) {
        fitted.empty = grid.take_empty();
    }
    if grid.least(fitted.between) > width {
        fitted.between = BETWEEN[2];
    }
    while grid.least(fitted.between) > width && grid.names.len() > KEPT {
        let spare = grid.names.iter().rposition(|name| SPARE.contains(&name.as_str()));
        let going = spare.unwrap_or(grid.names.len() - 1);
        fitted.hidden.push(grid.headings[going].clone());
        grid.remove(going);
    }
    fitted.widths = grid.narrowed(width, fitted.between);
    grid.shorten(&fitted.widths);
    fitted
}

impl Grid {
    /// Width of a column's cells; of its heading the longest word if that may be wrapped.
    fn width(&self, column: usize, wrapped: bool) -> usize {
        let heading = &self.headings[column];
        let heading = if wrapped { longest_word(heading) } else { heading.chars().count() };
        self.rows.iter().map(|row| length(&row[column])).fold(heading, usize::max)
    }

    fn fits(&self, width: usize) -> bool {
        (0..self.names.len()).map(|column| self.width(column, true) + BETWEEN[1]).sum::<usize>() <= width
    }

    /// Width of the table once its texts are as narrow as they may be.
    fn least(&self, between: usize) -> usize {
        (0..self.names.len()).map(|column| self.width(column, true).min(self.narrowest(column)) + between).sum()
    }

    /// To what a column may be narrowed: numbers not at all.
    fn narrowest(&self, column: usize) -> usize {
        if self.numeric[column] { usize::MAX } else { longest_word(&self.headings[column]).max(NARROWEST) }
    }

    fn remove(&mut self, column: usize) {
        self.names.remove(column);
        self.numeric.remove(column);
        self.headings.remove(column);
        for row in &mut self.rows {
            row.remove(column);
        }
    }

    fn take(&mut self, goes: impl Fn(&Self, usize) -> bool, text: impl Fn(&Self, usize) -> String) -> Vec<String> {
        let going: Vec<usize> = (0..self.names.len()).filter(|&column| goes(self, column)).collect();
        let texts = going.iter().map(|&column| text(self, column)).collect();
        for column in going.into_iter().rev() {
            self.remove(column);
        }
        texts
    }

    fn take_shared(&mut self) -> Vec<String> {
        self.take(
            |grid, column| {
                let first = &grid.rows[0][column];
                IDENTITY.contains(&grid.names[column].as_str())
                    && !first.is_empty()
                    && grid.rows.iter().all(|row| row[column] == *first)
            },
            |grid, column| format!("{} {}", grid.headings[column], grid.rows[0][column]),
        )
    }

    fn take_empty(&mut self) -> Vec<String> {
        self.take(
            |grid, column| grid.rows.iter().all(|row| row[column].is_empty()),
            |grid, column| grid.headings[column].clone(),
        )
    }

    /// Widths whose sum fits, where texts can be made narrow enough: the widest gives way first.
    fn narrowed(&self, width: usize, between: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = (0..self.names.len()).map(|column| self.width(column, true)).collect();
        let mut over = (widths.iter().sum::<usize>() + between * widths.len()).saturating_sub(width);
        while over > 0 {
            let texts = (0..widths.len()).filter(|&column| widths[column] > self.narrowest(column));
            // Of equal ones the last: the first columns say what a row is about.
            let Some(widest) = texts.max_by_key(|&column| (widths[column], column)) else { break };
            widths[widest] -= 1;
            over -= 1;
        }
        widths
    }

    fn shorten(&mut self, widths: &[usize]) {
        for row in &mut self.rows {
            for ((cell, width), name) in row.iter_mut().zip(widths).zip(&self.names) {
                if !PROSE.contains(&name.as_str()) {
                    *cell = shortened(cell, *width);
                }
            }
        }
    }
}

/// Length of the longest line.
fn length(cell: &str) -> usize {
    cell.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

fn longest_word(text: &str) -> usize {
    text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0)
}

/// A text of at most `width` characters, without its middle: beginning and end tell kernel names apart.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let end = (width / 3).saturating_sub(1);
    let start = width.saturating_sub(end + 1);
    let first: String = text.chars().take(start).collect();
    let last: String = text.chars().skip(count - end).collect();
    format!("{first}…{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(names: &[&str], rows: &[&[&str]]) -> Grid {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Grid {
            names: texts(names),
            headings: texts(names),
            rows: rows.iter().map(|row| texts(row)).collect(),
            numeric: names.iter().map(|name| name.ends_with("ns")).collect(),
        }
    }

    #[test]
    fn a_table_that_fits_stays_as_it_is() {
        let mut wide = grid(&["target", "kv ns"], &[&["x", ""], &["x", ""]]);
        assert_eq!(fit(&mut wide, 17), Fitted::default(), "6 + 3 + 5 + 3");
        assert_eq!(wide.names.len(), 2);
    }

    #[test]
    fn shared_values_go_above_then_empty_columns_below_then_long_texts_give_way() {
        let name = "a_kernel_with_a_very_long_name_indeed";
        let mut wide = grid(&["target", "name", "kv ns"], &[&["x", name, ""], &["x", "b", ""]]);
        let fitted = fit(&mut wide, 22);
        assert_eq!((fitted.shared, fitted.empty), (vec!["target x".to_owned()], vec!["kv ns".to_owned()]));
        assert_eq!(fitted.widths, [20], "22 less two blanks");
        assert_eq!(wide.rows, [["a_kernel_with_…ndeed"], ["b"]]);
    }

    #[test]
    fn numbers_are_never_narrowed_and_one_row_keeps_what_it_is_about() {
        let mut wide = grid(&["target", "length ns"], &[&["x", "123.4 ms"]]);
        let fitted = fit(&mut wide, 8);
        assert_eq!((fitted.shared.len(), fitted.widths), (0, vec![6, 8]));
    }

    #[test]
    fn where_nothing_else_helps_the_last_columns_are_named_instead_of_shown() {
        let names = ["a ns", "b ns", "c ns", "d ns", "e ns"];
        let mut wide = grid(&names, &[&["11111"; 5], &["22222"; 5]]);
        let fitted = fit(&mut wide, 24);
        assert_eq!((fitted.between, fitted.hidden), (1, vec!["e ns".to_owned()]), "four times 5 + 1 are 24");
        assert_eq!(fitted.widths, [5; 4]);
        let mut wide = grid(&names, &[&["11111"; 5]]);
        assert_eq!(fit(&mut wide, 1).hidden.len(), 2, "three columns stay");
    }

    #[test]
    fn a_shortened_text_keeps_beginning_and_end() {
        assert_eq!(shortened("abcdefghijklmnop", 9), "abcdef…op");
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("äöüß", 1), "…");
    }
}
