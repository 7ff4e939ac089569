//! The importer of the generic CSV request log (`docs/importers/requests.md`).

use std::borrow::Cow;

use csv::ByteRecord;
use proftool_trace::rows::Request;

use super::{Importer, Session};
use crate::Error;
use crate::raw::{Import, Source};
use crate::requests::columns::{self, Cells, Column};
use crate::requests::generic::{Found, session};
use crate::requests::log::{Bad, Log};
use crate::requests::records::{self, Records};
use crate::requests::shape::{self, Shape};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "requests_csv",
    doc: "The generic request log as CSV: arrival_ms, ttft_ms, prompt_tokens, ... (docs/importers/requests.md).",
    sniff: |head| shape::of(head) == Some(Shape::Csv),
    import,
};

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let found = look(source)?;
    let mut log = Log::new(import, found.start_ns());
    let mut records = Records::open(source)?;
    let layout = layout(source, records.header())?;
    let (mut tokens, mut number) = (Vec::new(), 0_u64);
    while let Some((start, record)) = records.next()? {
        let place = || records::place(source, start);
        match cells(record, &layout) {
            Ok(mut cells) => {
                cells.shorten_reason();
                match cells.request(&mut tokens) {
                    Ok(row) => match cells.identifier() {
                        Some(request) => log.take_named(&Request { request, ..row }, &tokens, place)?,
                        None => log.take(&Request { request: &number.to_string(), ..row }, &tokens, place)?,
                    },
                    Err(bad) => log.left_out(&bad, place),
                }
            }
            Err(bad) => log.left_out(&bad, place),
        }
        number += 1;
    }
    found.note(&mut log);
    Ok(session(&found))
}

/// What the first reading of the file tells.
fn look(source: &Source) -> Result<Found, Error> {
    let mut records = Records::open(source)?;
    let layout = layout(source, records.header())?;
    let mut found = Found::default();
    let named = records.header().iter().zip(&layout);
    let unknown: Vec<String> = named.filter(|(_, column)| column.is_none()).map(|(name, _)| name.clone()).collect();
    for name in unknown {
        found.unknown(&name);
    }
    while let Some((_, record)) = records.next()? {
        if let Ok(cells) = cells(record, &layout) {
            found.see(&cells);
        }
    }
    Ok(found)
}

/// What each column of the file says, where that is known. Two columns that say the same are ambiguous.
fn layout(source: &Source, header: &[String]) -> Result<Vec<Option<Column>>, Error> {
    let layout: Vec<Option<Column>> = header.iter().map(|name| columns::column(name)).collect();
    for (at, column) in layout.iter().enumerate() {
        let same = |other: &Option<Column>| column.is_some() && other.map(|o| o.field) == column.map(|c| c.field);
        if let Some(first) = layout[..at].iter().position(same) {
            let reason = format!("the columns {} and {} say the same", header[first], header[at]);
            return Err(source.damaged("its header", reason, "keep one of them"));
        }
    }
    Ok(layout)
}

fn cells<'r>(record: &'r ByteRecord, layout: &[Option<Column>]) -> Result<Cells<'r>, Bad> {
    if record.len() != layout.len() {
        let reason = format!("it has {} fields, the header {}", record.len(), layout.len());
        return Err(Bad::new("ragged_row", reason));
    }
    let mut cells = Cells::default();
    for (bytes, column) in record.iter().zip(layout) {
        if let Some(column) = column {
            let text = std::str::from_utf8(bytes).map_err(|_| Bad::new("bad_value", "it is not UTF-8"))?;
            cells.set(*column, Cow::Borrowed(text))?;
        }
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use crate::requests::testing::{failure, import};

    #[test]
    fn the_documented_example_is_what_the_document_says() {
        let document = include_str!("../../../../docs/importers/requests.md");
        let (_, csv) = document.split_once("```csv\n").expect("an example");
        let (csv, _) = csv.split_once("```").expect("its end");
        let log = import(csv.as_bytes()).unwrap();
        assert_eq!(log.texts("request").into_iter().flatten().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(log.present("arrival_ns"), [0, 12_500_000, 20_000_000]);
        assert_eq!(log.ints("first_token_ns"), [Some(180_250_000), Some(302_500_000), None]);
        assert_eq!(log.ints("end_ns"), [Some(900_000_000), Some(1_012_500_000), Some(20_100_000)]);
        assert_eq!(log.statuses(), ["ok", "ok", "rejected"]);
        assert_eq!(log.texts("reason")[2].as_deref(), Some("queue full"));
        assert_eq!(log.detail("unknown_columns"), "columns that no table has, left out: model");
    }

    #[test]
    fn unix_times_and_dates_start_the_session_at_the_earliest() {
        let log = import(b"timestamp_s,output_tokens\n1700158547,1\n1700158546.680590000,2\n").unwrap();
        assert_eq!(log.present("arrival_ns"), [319_410_000, 0]);
        assert_eq!(log.imported.session.start_unix_ns, 1_700_158_546_680_590_000);
        let log = import(b"timestamp,output_tokens\n2023-11-16 18:15:46.6805900,1\n").unwrap();
        assert_eq!(log.imported.session.start_unix_ns, 1_700_158_546_680_590_000);
        assert_eq!(log.issues(), [("utc_assumed".to_owned(), "info".to_owned(), 1)]);
        let log = import(b"arrived_at,num_prefill_tokens,num_decode_tokens\n0.25,5,6\n").unwrap();
        assert_eq!((log.present("arrival_ns"), log.imported.session.start_unix_ns), (vec![250_000_000], 0));
    }

    #[test]
    fn quotation_marks_line_ends_and_marks_are_understood() {
        let csv = "\u{feff}\"Request ID\",\"Arrival ms\",Error\r\n1,1.5,\"a \"\"b\"\",\nlast\"\r\n\r\n2,2,\r\n";
        let log = import(csv.as_bytes()).unwrap();
        assert_eq!(log.texts("reason"), [Some("last".to_owned()), None]);
        assert_eq!(log.statuses(), ["failed", "ok"]);
    }

    #[test]
    fn rows_that_cannot_be_are_left_out_or_too_many() {
        let header = "request,arrival_ms,first_token_ms,end_ms,output_tokens,status\n";
        let rows: Vec<String> = (0..200).map(|at| format!("{at},{at},{at}.5,{},2,ok\n", at + 1)).collect();
        for (bad, code) in [
            ("x,5,4,6,2,ok", "end_before_start"),
            ("x,5,7,6,2,ok", "end_before_start"),
            ("x,5,,4,2,ok", "end_before_start"),
            ("7,5,6,7,2,ok", "duplicate_request"),
            ("x,nan,6,7,2,ok", "bad_value"),
            ("x,1e300,6,7,2,ok", "bad_value"),
            ("x,,6,7,2,ok", "missing_value"),
            ("x,5,6,7,2", "ragged_row"),
            ("x,5,6,7,2,ok,more", "ragged_row"),
            ("x,5,6,7,2,perhaps", "bad_value"),
            ("x,5,6,7,-2,ok", "negative_value"),
            ("x,-2400000000000,6,7,2,ok", "time_out_of_range"),
        ] {
            let log = import(format!("{header}{}{bad}\n", rows.concat()).as_bytes()).unwrap();
            assert_eq!(log.statuses().len(), 200, "{bad}");
            assert!(log.detail(code).contains("line 202: "), "{bad}: {}", log.detail(code));
            let error = failure(format!("{header}{}{bad}\n", rows[..20].concat()).as_bytes());
            assert!(error.contains("damaged at line 22: ") && error.contains("1 of its 21 rows"), "{error}");
        }
        assert!(failure(header.as_bytes()).contains("holds no events"));
        let error = failure(b"arrival_ms,arrival_s,output_tokens\n1,1,1\n");
        assert!(error.contains("the columns arrival_ms and arrival_s say the same"), "{error}");
        let error = failure(b"request,arrival_ms\n\xff,5\n");
        assert!(error.contains("line 2: it is not UTF-8"), "{error}");
    }
}
