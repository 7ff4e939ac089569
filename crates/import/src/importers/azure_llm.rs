//! The importer of Azure's LLM inference traces (AzurePublicDataset, 2023 and 2024): CSV of arrival and lengths.

use csv::ByteRecord;
use proftool_trace::rows::Request;

use super::{Importer, Session};
use crate::Error;
use crate::raw::{Import, Severity, Source};
use crate::requests::log::{Bad, Log};
use crate::requests::records::{self, Records};
use crate::requests::shape::{self, Shape};
use crate::requests::{NO_OUTCOME, clock, decimal};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "azure_llm",
    doc: "Azure's LLM inference traces of 2023 and 2024: CSV with TIMESTAMP, ContextTokens, GeneratedTokens.",
    sniff: |head| shape::of(head) == Some(Shape::Azure),
    import,
};

/// Where the columns stand.
struct Layout {
    columns: usize,
    stamp: usize,
    context: usize,
    generated: usize,
}

impl Layout {
    fn of(source: &Source, header: &[String]) -> Result<Self, Error> {
        let find = |wanted: &str| {
            let at = header.iter().position(|name| name.eq_ignore_ascii_case(wanted));
            at.ok_or_else(|| source.damaged("its header", format!("there is no column {wanted}"), "download it again"))
        };
        let (stamp, context, generated) = (find("TIMESTAMP")?, find("ContextTokens")?, find("GeneratedTokens")?);
        Ok(Self { columns: header.len(), stamp, context, generated })
    }

    fn moment(&self, record: &ByteRecord) -> Result<clock::Moment, Bad> {
        let text = text(record, self.stamp)?;
        clock::moment(text).ok_or_else(|| Bad::value("TIMESTAMP", text, "date and time"))
    }

    fn request<'r>(&self, record: &ByteRecord) -> Result<(Request<'r>, bool), Bad> {
        if record.len() != self.columns {
            let reason = format!("it has {} fields, the header {}", record.len(), self.columns);
            return Err(Bad::new("ragged_row", reason));
        }
        let count = |name, at| {
            let text = text(record, at)?;
            decimal::whole(text).ok_or_else(|| Bad::value(name, text, "whole number"))
        };
        let moment = self.moment(record)?;
        let request = Request {
            arrival_ns: moment.unix_ns,
            prompt_tokens: Some(count("ContextTokens", self.context)?),
            output_tokens: Some(count("GeneratedTokens", self.generated)?),
            status: "ok",
            ..Request::default()
        };
        Ok((request, moment.zoned))
    }
}

fn text(record: &ByteRecord, at: usize) -> Result<&str, Bad> {
    let bytes = record.get(at).unwrap_or_default();
    std::str::from_utf8(bytes).map_err(|_| Bad::new("bad_value", "it is not UTF-8"))
}

/// Requests are numbered from 0 in the order of the file. The trace says when they came and how long they were, not
/// when they were answered: those times stay null.
fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let start_ns = earliest(source)?.unwrap_or(0);
    let mut log = Log::new(import, start_ns);
    let mut records = Records::open(source)?;
    let layout = Layout::of(source, records.header())?;
    let (mut number, mut zoneless, mut taken) = (0_u64, 0, 0);
    while let Some((start, record)) = records.next()? {
        let place = || records::place(source, start);
        match layout.request(record) {
            Ok((request, zoned)) => {
                let name = number.to_string();
                log.take(&Request { request: &name, ..request }, &[], place)?;
                (zoneless, taken) = (zoneless + u64::from(!zoned), taken + 1);
            }
            Err(bad) => log.left_out(&bad, place),
        }
        number += 1;
    }
    log.note(Severity::Info, "no_outcome", taken, NO_OUTCOME);
    log.note(Severity::Info, "utc_assumed", zoneless, "timestamps without a zone, read as UTC");
    Ok(Session { start_unix_ns: start_ns, clock: "unix".to_owned(), ..Session::default() })
}

fn earliest(source: &Source) -> Result<Option<i64>, Error> {
    let mut records = Records::open(source)?;
    let layout = Layout::of(source, records.header())?;
    let mut earliest = None;
    while let Some((_, record)) = records.next()? {
        if let Ok(moment) = layout.moment(record) {
            earliest = Some(earliest.map_or(moment.unix_ns, |other: i64| other.min(moment.unix_ns)));
        }
    }
    Ok(earliest)
}

#[cfg(test)]
mod tests {
    use crate::fixture::shared_data;
    use crate::requests::testing::{failure, import, import_file};

    /// Counts, sums and times by Python's csv and datetime modules over the same file.
    #[test]
    fn the_published_trace_is_whole() {
        let Some(path) = shared_data("serving/azure2023_conv.csv") else { return };
        let log = import_file(&path).unwrap();
        assert_eq!(log.statuses(), vec!["ok"; 19_366]);
        assert_eq!((log.sum("prompt_tokens"), log.sum("output_tokens")), (22_361_870, 4_088_665));
        let arrivals = log.present("arrival_ns");
        assert_eq!((arrivals[0], arrivals[1], arrivals[19_365]), (0, 4_314_579_000, 3_501_721_937_000));
        assert_eq!(log.imported.session.start_unix_ns, 1_700_158_546_680_590_000);
        assert!(log.present("end_ns").is_empty());
        assert_eq!(
            log.issues().iter().map(|(code, _, count)| (code.as_str(), *count)).collect::<Vec<_>>(),
            [("no_outcome", 19_366), ("utc_assumed", 19_366)]
        );
        assert!(!log.imported.lost);
    }

    const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

    #[test]
    fn the_layout_of_2024_names_its_zone() {
        let rows = "2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 00:00:00+00:00,2399,6\n";
        let log = import(format!("{HEADER}{rows}").as_bytes()).unwrap();
        assert_eq!(log.present("arrival_ns"), [9_930_000, 0], "from the earliest, which is not the first");
        assert_eq!(log.imported.session.start_unix_ns, 1_715_299_200_000_000_000);
        assert!(log.issues().iter().all(|(code, ..)| code != "utc_assumed"));
    }

    #[test]
    fn a_header_alone_holds_no_events() {
        assert!(failure(HEADER.as_bytes()).contains("holds no events (read as azure_llm"));
        assert!(failure(HEADER.trim_end().as_bytes()).contains("holds no events"));
    }

    #[test]
    fn rows_that_cannot_be_are_left_out_or_too_many() {
        let good = "2023-11-16 18:15:46.6805900,374,44\n";
        let rows: [(&[u8], &str); 8] = [
            (b"2023-11-16 18:15:46.6805900,374\n", "ragged_row"),
            (b"2023-11-16 18:15:46.6805900,374,44,5\n", "ragged_row"),
            (b"2023-11-16 18:15:46.6805900,-374,44\n", "negative_value"),
            (b"2023-11-16 18:15:46.6805900,inf,44\n", "bad_value"),
            (b"2023-11-16 18:15:46.6805900,99999999999999999999,44\n", "bad_value"),
            (b"9999-11-16 18:15:46.6805900,374,44\n", "bad_value"),
            (b"2023-11-16 18:15:46.\xff,374,44\n", "bad_value"),
            (b"2023-11-16 18:15", "ragged_row"),
        ];
        for (bad, code) in rows {
            let many = [HEADER.as_bytes(), good.repeat(200).as_bytes(), bad].concat();
            let log = import(&many).unwrap();
            assert_eq!(log.statuses().len(), 200);
            assert!(log.detail(code).contains("line 202: "), "{}", log.detail(code));
            let error = failure(&[HEADER.as_bytes(), good.repeat(20).as_bytes(), bad].concat());
            assert!(error.contains("damaged at line 22: ") && error.contains("1 of its 21 rows"), "{error}");
        }
    }

    #[test]
    fn times_further_apart_than_any_trace_are_refused() {
        let error = failure(format!("{HEADER}2023-01-01 00:00:00,1,1\n2023-06-01 00:00:00,1,1\n").as_bytes());
        assert!(error.contains("104 days"), "{error}");
    }
}
