//! What a kernel does a launch, read from the header comment of its source: the only place where a formula is written.
//!
//! ```text
//! // entry ceiling_write(blocks, vectors, repeats)
//! //   grid_x = blocks
//! //   bytes = 16 * vectors * repeats
//! ```
//! Lines of an entry: `grid_x`, `grid_y`, `block_x` (the launch; absent is 1), `flop` and `bytes` (what the operation
//! needs: each value that must be read or written once), `executed_flop` (what the loops do; absent is `flop`), `special`
//! (divisions, exponentials and roots in it; absent is 0), `loads` and `stores` (bytes that the threads access).

/// A header that can't be read, or a formula that can't be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}`: {problem} (hint: the header comments of kernels/*.cu state counts as in crates/workloads/src/cuda/counts.rs)"
)]
pub struct CountError {
    /// The line or formula.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
}

/// One kernel of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Name of the function.
    pub name: &'a str,
    /// Names that its formulas use.
    pub parameters: Vec<&'a str>,
    /// Name and formula of each line.
    pub lines: Vec<(&'a str, &'a str)>,
}

/// The entries that the comments of `source` state, in order.
pub fn entries(source: &str) -> Result<Vec<Entry<'_>>, CountError> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut inside = false;
    for line in source.lines() {
        if let Some(head) = line.strip_prefix("// entry ") {
            entries.push(entry(head)?);
            inside = true;
        } else if let Some(body) = line.strip_prefix("//   ").filter(|_| inside) {
            let (name, formula) = body.split_once('=').ok_or_else(|| wrong(body, "no `=`"))?;
            if let Some(entry) = entries.last_mut() {
                entry.lines.push((name.trim(), formula.trim()));
            }
        } else {
            inside = false;
        }
    }
    Ok(entries)
}

fn entry(head: &str) -> Result<Entry<'_>, CountError> {
    let inner = head.trim().strip_suffix(')').and_then(|head| head.split_once('('));
    let (name, parameters) = inner.ok_or_else(|| wrong(head, "not `name(parameter, ...)`"))?;
    let parameters = parameters.split(',').map(str::trim).filter(|parameter| !parameter.is_empty()).collect();
    Ok(Entry { name: name.trim(), parameters, lines: Vec::new() })
}

impl Entry<'_> {
    /// The value of a line for given parameters, `None` where the entry has no such line. Whole numbers; a division rounds
    /// down. FLOP and bytes are of one launch.
    pub fn evaluate(&self, line: &str, values: &[(&str, u64)]) -> Result<Option<u64>, CountError> {
        let Some((_, formula)) = self.lines.iter().find(|(name, _)| *name == line) else { return Ok(None) };
        evaluate(formula, values).map(Some)
    }

    /// FLOP that the loops execute.
    pub fn executed_flop(&self, values: &[(&str, u64)]) -> Result<Option<u64>, CountError> {
        match self.evaluate("executed_flop", values)? {
            Some(flop) => Ok(Some(flop)),
            None => self.evaluate("flop", values),
        }
    }
}

fn wrong(text: &str, problem: impl Into<String>) -> CountError {
    CountError { text: text.to_owned(), problem: problem.into() }
}

/// The value of a formula of `+ - * /`, parentheses, whole numbers and names.
pub fn evaluate(formula: &str, values: &[(&str, u64)]) -> Result<u64, CountError> {
    let mut parser = Parser { rest: formula, values };
    let value = parser.sum().map_err(|problem| wrong(formula, problem))?;
    if !parser.rest.trim().is_empty() {
        return Err(wrong(formula, format!("nothing can follow before `{}`", parser.rest.trim())));
    }
    u64::try_from(value).map_err(|_| wrong(formula, format!("{value} is not a count")))
}

struct Parser<'a> {
    rest: &'a str,
    values: &'a [(&'a str, u64)],
}

impl Parser<'_> {
    fn sum(&mut self) -> Result<i128, String> {
        let mut value = self.product()?;
        loop {
            if self.take('+') {
                value = value.checked_add(self.product()?).ok_or(TOO_LARGE)?;
            } else if self.take('-') {
                value = value.checked_sub(self.product()?).ok_or(TOO_LARGE)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<i128, String> {
        let mut value = self.factor()?;
        loop {
            if self.take('*') {
                value = value.checked_mul(self.factor()?).ok_or(TOO_LARGE)?;
            } else if self.take('/') {
                value = value.checked_div_euclid(self.factor()?).ok_or("a division by 0")?;
            } else {
                return Ok(value);
            }
        }
    }

    fn factor(&mut self) -> Result<i128, String> {
        if self.take('(') {
            let value = self.sum()?;
            return if self.take(')') { Ok(value) } else { Err("a parenthesis is not closed".to_owned()) };
        }
        let length = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        if word.is_empty() {
            return Err("a value is missing".to_owned());
        }
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return word.parse().map_err(|_| format!("{word} is not a number"));
        }
        let known = self.values.iter().find(|(name, _)| *name == word);
        known.map(|(_, value)| i128::from(*value)).ok_or_else(|| format!("no value for `{word}`"))
    }

    /// Takes a sign, and the spaces around it.
    fn take(&mut self, sign: char) -> bool {
        self.rest = self.rest.trim_start();
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        self.rest = rest.trim_start();
        true
    }
}

const TOO_LARGE: &str = "the result is too large";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_know_precedence_parentheses_and_whole_division() {
        let values = [("rows", 7), ("width", 3)];
        assert_eq!(evaluate("2 + rows * (width - 1)", &values), Ok(16));
        assert_eq!(evaluate("(rows + 3) / 4 * 4 - 1", &values), Ok(7));
        assert_eq!(evaluate("100 - 10 - 1", &values), Ok(89));
    }

    #[test]
    fn what_cannot_be_evaluated_is_said() {
        let problem = |formula: &str| evaluate(formula, &[("n", 1)]).expect_err("must fail").problem;
        assert_eq!(problem("2 * m"), "no value for `m`");
        assert_eq!(problem("2 *"), "a value is missing");
        assert_eq!(problem("(n"), "a parenthesis is not closed");
        assert_eq!(problem("n n"), "nothing can follow before `n`");
        assert_eq!(problem("1 / (n - 1)"), "a division by 0");
        assert_eq!(problem("n - 2"), "-1 is not a count");
        assert_eq!(problem("2x"), "2x is not a number");
        let large = ["18446744073709551615"; 7].join(" * ");
        assert_eq!(problem(&large), "the result is too large");
    }

    #[test]
    fn entries_are_read_from_comments_and_end_with_other_text() {
        let source = "// text\n//   indented = text\n// entry a(n, m)\n//   flop = 2 * n\n// text\n//   x = 1\n// entry b()\n//   bytes = 4\n";
        let entries = entries(source).expect("readable");
        assert_eq!((entries.len(), entries[0].parameters.as_slice()), (2, ["n", "m"].as_slice()));
        assert_eq!(entries[0].lines, [("flop", "2 * n")]);
        assert_eq!(entries[0].executed_flop(&[("n", 4), ("m", 1)]), Ok(Some(8)));
        assert_eq!(entries[1].evaluate("bytes", &[]), Ok(Some(4)));
        assert_eq!(entries[1].evaluate("flop", &[]), Ok(None));
    }

    #[test]
    fn a_header_that_is_not_one_is_refused() {
        assert_eq!(entries("// entry a\n").expect_err("no parentheses").problem, "not `name(parameter, ...)`");
        assert_eq!(entries("// entry a()\n//   flop\n").expect_err("no formula").problem, "no `=`");
    }
}
