//! The document: sections of tables, and the count of what was compared.

use std::fmt::Write as _;

use crate::check::{Check, List, Rule, Tally, Verdict};
use crate::number::Format;

/// What one source contributes to the document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    pub(crate) source: String,
    pub(crate) title: String,
    pub(crate) tally: Tally,
    pub(crate) text: String,
    pub(crate) open: Vec<String>,
}

impl Section {
    pub(crate) fn new(source: &str, title: &str) -> Self {
        let mut section = Self { source: source.to_owned(), title: title.to_owned(), ..Self::default() };
        let _ = writeln!(section.text, "## {title}\n");
        section
    }

    pub(crate) fn heading(&mut self, title: &str) {
        let _ = writeln!(self.text, "### {title}\n");
    }

    pub(crate) fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.text, "{}\n", wrapped(text, ""));
    }

    pub(crate) fn bullets(&mut self, lines: impl IntoIterator<Item = String>) {
        let mut any = false;
        for line in lines {
            any = true;
            let _ = writeln!(self.text, "- {}", wrapped(&line, "  "));
        }
        if any {
            self.text.push('\n');
        }
    }

    /// A table of quantities; `theirs` heads the column of the other source.
    pub(crate) fn checks(&mut self, theirs: &str, checks: &[Check]) {
        let by_rule = checks.iter().any(|check| check.verdict() == Verdict::Explained);
        let extra = if by_rule { format!(" proftool, by the rule of {theirs} |") } else { String::new() };
        let _ = writeln!(self.text, "| quantity | proftool | {theirs} |{extra} result |");
        let _ = writeln!(self.text, "|---|---:|---:|{}---|", if by_rule { "---:|" } else { "" });
        for check in checks {
            let show = |value: f64| check.format.show(value);
            let extra = match check.by_their_rule {
                _ if !by_rule => String::new(),
                Some((Rule::Value(value), _)) if check.verdict() == Verdict::Explained => format!(" {} |", show(value)),
                Some((Rule::Between(low, high), _)) if check.verdict() == Verdict::Explained => {
                    format!(" {} to {} |", show(low), show(high))
                }
                _ => " |".to_owned(),
            };
            let (ours, theirs) = (show(check.ours), show(check.theirs));
            let _ =
                writeln!(self.text, "| {} | {ours} | {theirs} |{extra} {} |", cell(&check.quantity), check.result());
            self.count(check);
        }
        self.text.push('\n');
    }

    fn count(&mut self, check: &Check) {
        match check.verdict() {
            Verdict::Equal => self.tally.equal += 1,
            Verdict::Explained => self.tally.explained += 1,
            Verdict::Unexplained => {
                self.tally.unexplained += 1;
                self.open.push(format!(
                    "{}: {}: {} here, {} there, by their rule {:?}",
                    self.source, check.quantity, check.ours, check.theirs, check.by_their_rule
                ));
            }
        }
    }

    /// A table of long lists; `largest` heads the column of the largest difference, where it says anything.
    pub(crate) fn lists(&mut self, lists: &[List], largest: Option<&str>) {
        let (head, rule) =
            largest.map_or((String::new(), ""), |unit| (format!(" largest difference ({unit}) |"), "---:|"));
        let _ = writeln!(self.text, "| list | rows | values | equal | explained | unexplained |{head}");
        let _ = writeln!(self.text, "|---|---:|---:|---:|---:|---:|{rule}");
        for list in lists {
            let count = |value: usize| Format::Whole.show(value as f64);
            let Tally { equal, explained, unexplained } = list.tally;
            let numbers = [list.rows, list.tally.compared(), equal, explained, unexplained].map(count).join(" | ");
            let far = largest.map_or(String::new(), |_| format!(" {} |", Format::Fixed(4).show(list.largest)));
            let _ = writeln!(self.text, "| {} | {numbers} |{far}", cell(&list.what));
            self.tally.add(list.tally);
            self.open.extend(list.open.iter().map(|open| format!("{}: {}: {open}", self.source, list.what)));
        }
        self.text.push('\n');
        let short = |list: &List| list.what.split(':').next().unwrap_or_default().to_owned();
        let notes = lists.iter().flat_map(|list| list.notes.iter().map(move |note| format!("{}: {note}", short(list))));
        self.bullets(notes.collect::<Vec<_>>());
    }
}

/// The width of the document's text.
const WIDTH: usize = 118;

/// The words of a text in lines; those behind the first begin with `indent`.
fn wrapped(text: &str, indent: &str) -> String {
    let (mut out, mut width) = (String::new(), 0);
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            out.push('\n');
            out.push_str(indent);
            width = indent.len();
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
