//! NVTX ranges and marks, with their domains, categories and payloads.
//!
//! A first scan gathers the names of domains and categories and looks whether ranges come in order; a second writes the
//! rows. Only where a thread's ranges are out of order (an export that was put together by hand), their times are kept
//! and sorted: 40 bytes a range.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use proftool_trace::rows::Range;

use super::export::{Cell, Export, Row, at};
use super::ids::{process, thread};
use super::nesting::{Nested, Nesting, OPEN, Order};
use super::reader::{Reader, name, next};
use super::strings::Strings;
use crate::Error;
use crate::raw::Severity;

const TABLE: &str = "NVTX_EVENTS";
const WANTED: &[&str] = &[
    "start",
    "end",
    "eventType",
    "globalTid",
    "endGlobalTid",
    "domainId",
    "text",
    "textId",
    "category",
    "uint64Value",
    "int64Value",
    "doubleValue",
    "uint32Value",
    "int32Value",
    "floatValue",
    "jsonText",
    "jsonTextId",
    "binaryData",
];
const START: usize = at(WANTED, "start");
const END: usize = at(WANTED, "end");
const TYPE: usize = at(WANTED, "eventType");
const THREAD: usize = at(WANTED, "globalTid");
const END_THREAD: usize = at(WANTED, "endGlobalTid");
const DOMAIN: usize = at(WANTED, "domainId");
const TEXT: usize = at(WANTED, "text");
const TEXT_ID: usize = at(WANTED, "textId");
const CATEGORY: usize = at(WANTED, "category");
const UNSIGNED: [usize; 2] = [at(WANTED, "uint64Value"), at(WANTED, "uint32Value")];
const SIGNED: [usize; 2] = [at(WANTED, "int64Value"), at(WANTED, "int32Value")];
const DOUBLE: usize = at(WANTED, "doubleValue");
const FLOAT: usize = at(WANTED, "floatValue");
const JSON: usize = at(WANTED, "jsonText");
const JSON_ID: usize = at(WANTED, "jsonTextId");
const BINARY: usize = at(WANTED, "binaryData");

/// Event types (`ENUM_NSYS_EVENT_TYPE`) that are not ranges and name something.
const CATEGORY_NAME: i64 = 33;
const DOMAIN_NAME: i64 = 75;

/// The style of an event that is a range or a mark. 59, 60 and 34 are NVTX, 70, 71 and 65 the same from NVTXT files.
fn style(event: i64) -> Option<Style> {
    match event {
        59 | 70 => Some(Style::PushPop),
        60 | 71 => Some(Style::StartEnd),
        34 | 65 => Some(Style::Mark),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    PushPop,
    StartEnd,
    Mark,
}

impl Style {
    fn name(self) -> &'static str {
        match self {
            Self::PushPop => "push_pop",
            Self::StartEnd => "start_end",
            Self::Mark => "mark",
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), Error> {
    let export = reader.export;
    if !export.has(TABLE) {
        return Ok(());
    }
    reader.demand(TABLE, &["start", "eventType"])?;
    let names = Names::read(reader)?;
    let mut places =
        if names.order.holds() { Places::Streamed(Nesting::default()) } else { Places::Sorted(Sorted::read(export)?) };
    let mut undecoded = 0;
    export.scan(TABLE, WANTED, &mut |row| {
        undecoded += u64::from(row.cell(BINARY) != Cell::Null);
        event(reader, &names, &mut places, row)
    })?;
    let detail = "NVTX payloads in a layout of the program's own, which are not read";
    reader.import.issue(Severity::Info, "binary_payload", undecoded, detail);
    Ok(())
}

/// Names of domains and categories by process and number, and whether ranges come in order.
#[derive(Default)]
struct Names {
    domains: HashMap<(i64, i64), String>,
    categories: HashMap<(i64, i64, i64), String>,
    order: Order,
}

impl Names {
    fn read(reader: &Reader<'_, '_>) -> Result<Self, Error> {
        const FIRST: &[&str] = &["start", "end", "eventType", "globalTid", "domainId", "text", "textId", "category"];
        let mut names = Self::default();
        reader.export.scan(TABLE, FIRST, &mut |row| {
            let event = row.int(at(FIRST, "eventType")).unwrap_or(0);
            let global = row.int(at(FIRST, "globalTid")).unwrap_or(0);
            let domain = row.int(at(FIRST, "domainId")).unwrap_or(0);
            if event == DOMAIN_NAME || event == CATEGORY_NAME {
                let numbers = [at(FIRST, "textId")];
                if let Some(name) = name(&reader.strings, row, &numbers, at(FIRST, "text")) {
                    let category = row.int(at(FIRST, "category")).unwrap_or(0);
                    names.name(event, process(global), domain, category, name.into_owned());
                }
            } else {
                let (start, end) = (row.int(at(FIRST, "start")), row.int(at(FIRST, "end")));
                names.see(style(event), global, start.unwrap_or(0), end.unwrap_or(OPEN));
            }
            Ok(())
        })?;
        Ok(names)
    }

    fn name(&mut self, event: i64, process: i64, domain: i64, category: i64, name: String) {
        if event == DOMAIN_NAME {
            self.domains.insert((process, domain), name);
        } else {
            self.categories.insert((process, domain, category), name);
        }
    }

    /// Looks at the order of what nests.
    fn see(&mut self, style: Option<Style>, thread: i64, start: i64, end: i64) {
        match style {
            Some(Style::PushPop) => self.order.see(thread, start, end),
            Some(Style::Mark) => self.order.see_mark(thread, start),
            Some(Style::StartEnd) | None => {}
        }
    }

    /// The domain of a row: null for the default one, `domain 3` for one whose name was not recorded.
    fn domain(&self, process: i64, domain: i64) -> Option<Cow<'_, str>> {
        match self.domains.get(&(process, domain)) {
            Some(name) => Some(Cow::Borrowed(name)),
            None if domain == 0 => None,
            None => Some(Cow::Owned(format!("domain {domain}"))),
        }
    }
}

/// Where each range stands.
enum Places {
    /// Found while the rows are read.
    Streamed(Nesting),
    /// Found before, where rows are out of order.
    Sorted(Sorted),
}

/// Places of ranges that are out of order, by their row in the table. A range's number is its row's then.
struct Sorted {
    places: Vec<(u64, Nested)>,
    next: usize,
}

impl Sorted {
    fn read(export: &dyn Export) -> Result<Self, Error> {
        let mut ranges = Vec::new();
        export.scan(TABLE, WANTED, &mut |row| {
            let style = row.int(TYPE).and_then(style).filter(|style| *style != Style::StartEnd);
            let (Some(style), Some(start)) = (style, row.int(START)) else { return Ok(()) };
            let end = row.int(END).unwrap_or(if style == Style::Mark { start } else { OPEN });
            if end >= start {
                ranges.push((row.int(THREAD).unwrap_or(0), start, style == Style::Mark, end, row.number));
            }
            Ok(())
        })?;
        ranges.sort_by_key(|(thread, start, mark, end, row)| (*thread, *start, *mark, Reverse(*end), *row));
        let mut nesting = Nesting::default();
        let place = |(thread, start, mark, end, row): (i64, i64, bool, i64, u64)| {
            let nested = if mark { nesting.mark(thread, start) } else { nesting.push(thread, row as i64, start, end) };
            (row, nested)
        };
        let mut places: Vec<(u64, Nested)> = ranges.into_iter().map(place).collect();
        places.sort_by_key(|(row, _)| *row);
        Ok(Self { places, next: 0 })
    }

    /// The place of the range in that row; rows are asked for in their order.
    fn of(&mut self, row: u64) -> Option<Nested> {
        self.next += self.places[self.next..].iter().take_while(|(other, _)| *other < row).count();
        self.places.get(self.next).filter(|(other, _)| *other == row).map(|(_, nested)| *nested)
    }
}

fn event(reader: &mut Reader<'_, '_>, names: &Names, places: &mut Places, row: &Row<'_>) -> Result<(), Error> {
    let Some(style) = row.int(TYPE).and_then(style) else { return Ok(()) };
    let Some((start_ns, end)) = reader.times(TABLE, row, START, END) else { return Ok(()) };
    let end_ns = end.filter(|_| style != Style::Mark);
    let global = row.int(THREAD);
    let in_order = next(&mut reader.ids.range);
    let key = global.unwrap_or(0);
    let (id, nested) = match (places, style) {
        (Places::Sorted(sorted), _) => (row.number as i64, sorted.of(row.number)),
        (Places::Streamed(_), Style::StartEnd) => (in_order, None),
        (Places::Streamed(nesting), Style::Mark) => (in_order, Some(nesting.mark(key, start_ns))),
        (Places::Streamed(nesting), Style::PushPop) => {
            (in_order, Some(nesting.push(key, in_order, start_ns, end_ns.unwrap_or(OPEN))))
        }
    };
    let domain = row.int(DOMAIN).unwrap_or(0);
    let ended_by = row.int(END_THREAD).map(thread);
    let same_thread = || global.map(thread).filter(|_| style == Style::PushPop && end_ns.is_some());
    reader.import.put(&Range {
        id,
        parent: nested.and_then(|nested| nested.parent),
        process: global.map(process),
        thread: global.map(thread),
        end_thread: ended_by.or_else(same_thread),
        domain: names.domain(process(key), domain).as_deref(),
        name: name(&reader.strings, row, &[TEXT_ID], TEXT).as_deref().unwrap_or(""),
        style: style.name(),
        start_ns,
        end_ns,
        depth: nested.map(|nested| nested.depth),
        payload: payload(&reader.strings, names, row, process(key), domain).as_deref(),
    })?;
    Ok(())
}

/// The payload as text, behind the category where there is one: `category=io, 4096`.
fn payload<'r>(strings: &'r Strings, names: &Names, row: &Row<'r>, process: i64, domain: i64) -> Option<Cow<'r, str>> {
    let value = value(strings, row);
    let Some(category) = row.int(CATEGORY).filter(|category| *category != 0) else { return value };
    let category = match names.categories.get(&(process, domain, category)) {
        Some(name) => format!("category={name}"),
        None => format!("category={category}"),
    };
    Some(Cow::Owned(match value {
        Some(value) => format!("{category}, {value}"),
        None => category,
    }))
}

fn value<'r>(strings: &'r Strings, row: &Row<'r>) -> Option<Cow<'r, str>> {
    let unsigned = UNSIGNED.iter().find_map(|column| row.int(*column)).map(|value| value.cast_unsigned().to_string());
    let signed = || SIGNED.iter().find_map(|column| row.int(*column)).map(|value| value.to_string());
    // A float keeps the few digits that it was given with: 0.1, not 0.10000000149.
    let float = || row.real(FLOAT).map(|value| (value as f32).to_string());
    let double = || row.real(DOUBLE).map(|value| value.to_string());
    let number = unsigned.or_else(signed).or_else(double).or_else(float);
    number.map(Cow::Owned).or_else(|| {
        let json = row.text(JSON).filter(|_| row.cell(JSON) != Cell::Null);
        json.or_else(|| strings.get(row.int(JSON_ID)?).map(Cow::Borrowed)).filter(|text| !text.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, Value};
    use proftool_trace::frame::{Tables, ints, texts};
    use proftool_trace::tables;

    const TID: i64 = (77 << 24) + 78;

    fn row<'n>(
        start: i64,
        end: Option<i64>,
        event: i64,
        text: &str,
        more: &[(&'n str, Value)],
    ) -> Vec<(&'n str, Value)> {
        let mut row: Vec<(&'n str, Value)> =
            vec![("start", start.into()), ("eventType", event.into()), ("globalTid", TID.into())];
        row.extend(end.map(|end| ("end", end.into())));
        row.push(("text", text.into()));
        row.extend_from_slice(more);
        row
    }

    fn import(rows: &[Vec<(&str, Value)>]) -> Tables {
        let mut fake = Fake::default();
        fake.row("StringIds", &[("id", 9.into()), ("value", "registered".into())]);
        for row in rows {
            fake.row("NVTX_EVENTS", row);
        }
        fake.import().unwrap()
    }

    fn column(tables: &Tables, name: &str) -> Vec<Option<String>> {
        texts(tables.get(&tables::RANGES), name).unwrap()
    }

    fn numbers(tables: &Tables, name: &str) -> Vec<Option<i64>> {
        ints(tables.get(&tables::RANGES), name).unwrap()
    }

    #[test]
    fn styles_domains_and_parents_are_told_and_names_are_no_ranges() {
        let domain = [("domainId", Value::from(3))];
        let tables = import(&[
            row(0, None, 75, "NCCL", &domain),
            row(0, None, 39, "a thread's name", &[]),
            row(1, None, 59, "open", &[]),
            row(2, Some(50), 59, "outer", &[]),
            row(3, Some(40), 59, "inner", &domain),
            row(4, None, 34, "mark", &[]),
            row(5, Some(60), 60, "crossing", &[("endGlobalTid", (TID + 1).into())]),
            row(6, Some(7), 59, "", &[("textId", 9.into()), ("domainId", 4.into())]),
            row(8, Some(9), 71, "nvtxt", &[]),
        ]);
        let some = |values: &[&str]| values.iter().map(|value| Some((*value).to_owned())).collect::<Vec<_>>();
        assert_eq!(
            column(&tables, "name"),
            some(&["open", "outer", "inner", "mark", "crossing", "registered", "nvtxt"])
        );
        let styles = ["push_pop", "push_pop", "push_pop", "mark", "start_end", "push_pop", "start_end"];
        assert_eq!(column(&tables, "style"), some(&styles));
        assert_eq!(numbers(&tables, "parent"), [None, Some(0), Some(1), Some(2), None, Some(2), None]);
        assert_eq!(numbers(&tables, "depth"), [Some(0), Some(1), Some(2), Some(3), None, Some(3), None]);
        assert_eq!(numbers(&tables, "end_ns"), [None, Some(50), Some(40), None, Some(60), Some(7), Some(9)]);
        assert_eq!(numbers(&tables, "end_thread"), [None, Some(78), Some(78), None, Some(79), Some(78), None]);
        let domains = column(&tables, "domain");
        assert_eq!(
            (domains[0].as_deref(), domains[2].as_deref(), domains[5].as_deref()),
            (None, Some("NCCL"), Some("domain 4"))
        );
    }

    #[test]
    fn payloads_become_text_behind_their_category() {
        let tables = import(&[
            row(0, None, 33, "io", &[("category", 5.into())]),
            row(1, Some(2), 59, "a", &[("uint64Value", (-1).into())]),
            row(3, Some(4), 59, "b", &[("int32Value", (-1).into()), ("category", 5.into())]),
            row(5, Some(6), 59, "c", &[("floatValue", f64::from(0.1_f32).into())]),
            row(7, Some(8), 59, "d", &[("jsonText", "{\"a\":1}".into())]),
            row(9, Some(10), 59, "e", &[("category", 6.into())]),
            row(11, Some(12), 59, "f", &[]),
        ]);
        let payloads = column(&tables, "payload");
        let payloads: Vec<Option<&str>> = payloads.iter().map(Option::as_deref).collect();
        let expected = ["18446744073709551615", "category=io, -1", "0.1", "{\"a\":1}", "category=6"].map(Some);
        assert_eq!(payloads, [&expected[..], &[None]].concat());
    }

    #[test]
    fn a_mark_that_is_stored_late_or_early_lies_in_what_was_open_at_its_time() {
        let late = import(&[row(0, Some(50), 59, "outer", &[]), row(20, Some(30), 59, "inner", &[]), mark(10)]);
        assert_eq!(numbers(&late, "parent"), [None, Some(0), Some(0)]);
        let early = import(&[row(0, Some(50), 59, "outer", &[]), mark(60), row(20, Some(30), 59, "inner", &[])]);
        assert_eq!(numbers(&early, "parent"), [None, None, Some(0)]);
        let equal = import(&[row(0, Some(50), 59, "outer", &[]), mark(20), row(20, Some(30), 59, "inner", &[])]);
        assert_eq!(numbers(&equal, "parent"), [None, Some(0), Some(0)]);
    }

    fn mark(time: i64) -> Vec<(&'static str, Value)> {
        row(time, None, 34, "mark", &[])
    }

    #[test]
    fn rows_out_of_order_have_the_same_parents() {
        let rows =
            [row(3, Some(40), 59, "inner", &[]), row(4, None, 34, "mark", &[]), row(2, Some(50), 59, "outer", &[])];
        let tables = import(&rows);
        assert_eq!(numbers(&tables, "id"), [Some(0), Some(1), Some(2)]);
        assert_eq!(numbers(&tables, "parent"), [Some(2), Some(0), None]);
        assert_eq!(numbers(&tables, "depth"), [Some(1), Some(2), Some(0)]);
    }
}
