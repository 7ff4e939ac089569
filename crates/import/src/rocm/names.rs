//! Names that records refer to by number: operations, kernels, messages.

use std::borrow::Cow;
use std::collections::HashMap;

use super::fields;
use crate::raw::json::{Cursor, Fault};

/// Names of the operations of each kind of record.
#[derive(Debug, Default)]
pub(crate) struct Operations(Vec<(Box<str>, Vec<Box<str>>)>);

impl Operations {
    /// The kinds in their order.
    pub(crate) fn new(kinds: Vec<(Box<str>, Vec<Box<str>>)>) -> Self {
        Self(kinds)
    }

    /// Name of an operation and of its kind.
    #[inline]
    pub(crate) fn get(&self, kind: Option<i64>, operation: Option<i64>) -> Option<(&str, &str)> {
        let (kind, operations) = self.0.get(usize::try_from(kind?).ok()?)?;
        Some((operations.get(usize::try_from(operation?).ok()?)?, kind))
    }
}

/// Reads a kind and its operations.
///
/// # Errors
/// When it is no JSON.
pub(crate) fn kind(cursor: &mut Cursor<'_>) -> Result<(Box<str>, Vec<Box<str>>), Fault> {
    let (mut name, mut operations) = (Box::default(), Vec::new());
    fields::object(cursor, |key, cursor| {
        match key {
            b"kind" => name = fields::text(cursor)?.unwrap_or_default(),
            b"operations" => {
                operations = fields::list(cursor, |cursor| Ok(Some(fields::text(cursor)?.unwrap_or_default())))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((name, operations))
}

/// What is known of a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) name: Box<str>,
    pub(crate) registers: Option<i64>,
}

impl Symbol {
    /// A kernel with its architectural and accumulation registers.
    pub(crate) fn new(name: &str, arch: Option<i64>, accumulation: Option<i64>) -> Self {
        Self { name: super::kernel_name(name).into(), registers: super::registers(arch, accumulation) }
    }
}

/// Reads a kernel symbol with its number. Of its four names the formatted one is taken: demangled, with its arguments, without `.kd`.
///
/// # Errors
/// When it is no JSON.
pub(crate) fn symbol(cursor: &mut Cursor<'_>) -> Result<(i64, Symbol), Fault> {
    let (mut id, mut arch, mut accumulation) = (None, None, None);
    let mut names: [Option<Box<str>>; 4] = Default::default();
    fields::object(cursor, |key, cursor| {
        match key {
            b"kernel_id" => id = fields::int(cursor)?,
            b"formatted_kernel_name" => names[0] = fields::text(cursor)?,
            b"demangled_kernel_name" => names[1] = fields::text(cursor)?,
            b"truncated_kernel_name" => names[2] = fields::text(cursor)?,
            b"kernel_name" => names[3] = fields::text(cursor)?,
            b"arch_vgpr_count" => arch = fields::int(cursor)?,
            b"accum_vgpr_count" => accumulation = fields::int(cursor)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let name = names.into_iter().flatten().next().unwrap_or_default();
    Ok((id.unwrap_or_default(), Symbol::new(&name, arch, accumulation)))
}

/// Values by numbers that, in every file seen, count up one by one from the first.
#[derive(Debug)]
pub(crate) struct ByNumber<T>(Vec<(i64, T)>);

impl<T> Default for ByNumber<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ByNumber<T> {
    /// Values in whatever order; of two with one number the first counts.
    pub(crate) fn new(mut list: Vec<(i64, T)>) -> Self {
        list.sort_by_key(|(number, _)| *number);
        list.dedup_by_key(|(number, _)| *number);
        Self(list)
    }

    /// The value of that number.
    #[inline]
    pub(crate) fn get(&self, number: i64) -> Option<&T> {
        let first = self.0.first()?.0;
        let guess = number.checked_sub(first).and_then(|at| usize::try_from(at).ok()).and_then(|at| self.0.get(at));
        if let Some((_, value)) = guess.filter(|(other, _)| *other == number) {
            return Some(value);
        }
        self.0.binary_search_by_key(&number, |(other, _)| *other).ok().map(|at| &self.0[at].1)
    }
}

/// Kernels by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Symbols(ByNumber<Symbol>);

impl Symbols {
    /// Kernels in whatever order.
    pub(crate) fn new(list: Vec<(i64, Symbol)>) -> Self {
        Self(ByNumber::new(list))
    }

    /// The kernel of that number.
    #[inline]
    pub(crate) fn get(&self, number: i64) -> Option<&Symbol> {
        self.0.get(number)
    }

    /// Name of a kernel; one that the file does not name is called by its number.
    pub(crate) fn name(&self, number: i64) -> Cow<'_, str> {
        match self.get(number).filter(|symbol| !symbol.name.is_empty()) {
            Some(symbol) => Cow::Borrowed(&symbol.name),
            None => Cow::Owned(format!("kernel {number}")),
        }
    }
}

/// How often each kernel was launched before, by the kernel's name: two code objects may hold the same kernel.
#[derive(Debug, Default)]
pub(crate) struct Counts(HashMap<Box<str>, i64>);

impl Counts {
    /// The number of earlier launches; this one is counted.
    pub(crate) fn next(&mut self, name: &str) -> i64 {
        if let Some(count) = self.0.get_mut(name) {
            *count += 1;
            return *count - 1;
        }
        self.0.insert(name.into(), 1);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_whether_or_not_their_numbers_have_gaps() {
        let list = ByNumber::new(vec![(7, 'c'), (3, 'a'), (4, 'b'), (100, 'd'), (3, 'x')]);
        assert_eq!([3, 4, 7, 100].map(|number| list.get(number).copied()), ['a', 'b', 'c', 'd'].map(Some));
        assert_eq!([0, 5, 101, i64::MIN, i64::MAX].map(|number| list.get(number)), [None; 5]);
        assert_eq!(ByNumber::<char>::default().get(0), None);
    }

    #[test]
    fn a_kernel_that_is_not_named_is_called_by_its_number() {
        let symbols = Symbols::new(vec![(1, Symbol::new("f().kd", Some(8), None)), (2, Symbol::default())]);
        assert_eq!([1, 2, 3].map(|number| symbols.name(number)), ["f()", "kernel 2", "kernel 3"]);
    }
}
