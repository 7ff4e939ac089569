//! Small pages, one property each.

use super::{Page, csv_rows, message};
use crate::fixture::{import_bytes, shared_data};

const LONG: &str = "\"ID\",\"Process ID\",\"Kernel Name\",\"Device\",\"CC\",\"Section Name\",\"Metric Name\",\"Metric Unit\",\"Metric Value\"\n";

fn long(rows: &[(&str, &str, &str, &str)]) -> String {
    let row = |(id, metric, unit, value): &(&str, &str, &str, &str)| {
        format!(
            "\"{id}\",\"7\",\"k{id}\",\"1\",\"9.0\",\"Command line profiler metrics\",\"{metric}\",\"{unit}\",\"{value}\"\n"
        )
    };
    LONG.chars().chain(rows.iter().map(row).collect::<String>().chars()).collect()
}

#[test]
fn a_decimal_comma_is_found_wherever_in_the_file_it_shows() {
    let text = long(&[("0", "a__b", "", "9.495"), ("0", "c__d", "Kbyte", "1.234"), ("1", "a__b", "", "19,66")]);
    let page = Page::text(&text);
    assert_eq!((page.get(0, "a__b"), page.get(1, "a__b")), (9_495.0, 19.66));
    assert_eq!(page.get(0, "c__d"), 1_234_000.0);
    assert_eq!(page.issue("decimal_comma"), ("info".to_owned(), 1));
    assert_eq!(page.rows, 3, "nothing is left of the first reading");
}

#[test]
fn a_separator_that_could_be_either_is_an_issue() {
    let page = Page::text(&long(&[("0", "a__b", "", "9.495"), ("0", "c__d", "", "12")]));
    assert_eq!(page.get(0, "a__b"), 9.495);
    assert_eq!(page.issue("ambiguous_separator"), ("error".to_owned(), 1));
    let page = Page::text(&long(&[("0", "a__b", "", "9.495"), ("0", "c__d", "", "1,234.5")]));
    assert!(!page.issues().contains_key("ambiguous_separator"), "the second value shows the style");
}

#[test]
fn numbers_of_both_styles_in_one_file_are_left_out_or_fail_it() {
    let mut rows = vec![("0", "a__b", "", "1.5"); 1];
    let names: Vec<String> = (0..200).map(|number| format!("m__{number}")).collect();
    rows.extend(names.iter().map(|name| ("0", name.as_str(), "", "2.5")));
    rows.push(("0", "c__d", "", "19,66"));
    let page = Page::text(&long(&rows));
    assert_eq!(page.issue("mixed_number_styles"), ("data_loss".to_owned(), 1));
    let text = message(long(&[("0", "a__b", "", "1.5"), ("0", "c__d", "", "19,66")]));
    assert!(text.contains("line 3, c__d is \"19,66\""), "{text}");
}

#[test]
fn several_tables_in_one_file_are_several_runs() {
    let one = long(&[("0", "a__b", "", "1"), ("1", "a__b", "", "2")]);
    let page = Page::text(&format!("\u{feff}==PROF== Connected\n{one}==WARNING== again\nhello\n{one}"));
    assert_eq!(page.launches("name").len(), 4);
    assert_eq!(page.numbers("launch_index"), [0, 0, 0, 0]);
    assert_eq!((page.get(0, "a__b"), page.get(3, "a__b")), (1.0, 2.0));
    assert_eq!(page.issue("program_output"), ("info".to_owned(), 1));
    assert_eq!(page.issue("profiler_warning"), ("info".to_owned(), 1));
}

#[test]
fn rows_of_several_processes_may_alternate() {
    let row = |process: i64, metric: &str| {
        format!("\"0\",\"{process}\",\"k\",\"0\",\"9.0\",\"S\",\"{metric}\",\"\",\"{process}\"\n")
    };
    let text: String = [LONG.to_owned(), row(7, "a__b"), row(8, "a__b"), row(7, "c__d"), row(8, "c__d")].concat();
    let page = Page::text(&text);
    assert_eq!(page.launches("name").len(), 2);
    assert_eq!((page.get(0, "c__d"), page.get(1, "c__d")), (7.0, 8.0));
}

#[test]
fn ranges_move_the_columns_and_name_the_phase() {
    let header = "\"ID\",\"Process ID\",\"thread Domain:Push/Pop_Range:PL_Type:PL_Value:CLR_Type:Color:Msg_Type:Msg\",\
                  \"Kernel Name\",\"gpu__time_duration.sum\",\"dram__bytes.sum\"\n\"\",\"\",\"\",\"\",\"us\",\"Mbyte\"\n";
    let range = |name: &str| format!("1  \"\"<default domain>:{name}:none:none:none:none:none:none\"\"");
    let row = |id: i64, ranges: &str| format!("\"{id}\",\"7\",\"{ranges}\",\"k\",\"1.5\",\"25.170048\"\n");
    let nested = format!("{} {}", range("step"), range("inner"));
    let text = [header.to_owned(), row(0, &range("prefill")), row(1, &nested), row(2, "")].concat();
    let page = Page::text(&text);
    assert_eq!(page.launches("phase"), [Some("prefill".to_owned()), None, None]);
    assert_eq!((page.get(0, "gpu__time_duration.sum"), page.get(2, "dram__bytes.sum")), (1500.0, 25_170_048.0));
    assert_eq!(page.numbers("launch_index"), [0, 1, 2]);
}

#[test]
fn metrics_that_come_twice_are_kept_once() {
    let rows = [("0", "a__b", "", "1"), ("0", "a__b", "", "1"), ("0", "a__b", "", "2")];
    let page = Page::text(&long(&rows));
    assert_eq!((page.rows, page.get(0, "a__b")), (1, 1.0));
    assert_eq!(page.issue("repeated_value"), ("info".to_owned(), 1));
    assert_eq!(page.issue("conflicting_values"), ("data_loss".to_owned(), 1));
    let wide = "\"ID\",\"Kernel Name\",\"a__b\",\"a__b\",\"c__d\",\"c__d\"\n\"\",\"\",\"\",\"\",\"\",\"\"\n\"0\",\"k\",\"1\",\"1\",\"2\",\"3\"\n";
    let page = Page::text(wide);
    assert_eq!((page.rows, page.get(0, "c__d")), (2, 2.0));
    assert_eq!(page.issue("repeated_value").1, 1);
    assert_eq!(page.issue("conflicting_values"), ("data_loss".to_owned(), 1));
}

#[test]
fn a_page_without_a_row_of_units_is_taken_to_be_in_base_units() {
    let page = Page::text("\"ID\",\"Kernel Name\",\"dram__bytes.sum\"\n\"0\",\"k\",\"12\"\n\"1\",\"k\",\"13\"\n");
    assert_eq!((page.get(0, "dram__bytes.sum"), page.get(1, "dram__bytes.sum")), (12.0, 13.0));
    assert_eq!(page.unit("dram__bytes.sum"), None);
    assert_eq!(page.issue("no_units"), ("data_loss".to_owned(), 1));
}

#[test]
fn carriage_returns_utf16_and_an_unended_line_before_the_header_are_understood() {
    let text = long(&[("0", "a__b", "Kbyte", "1.50")]);
    let windows = format!("==PROF== x\r\ndone{}", text.replace('\n', "\r\n"));
    for bytes in [windows.clone().into_bytes(), windows.trim_end().as_bytes().to_vec()] {
        assert_eq!(super::Page::of(import_bytes("page.csv", &bytes).unwrap().1).get(0, "a__b"), 1500.0);
    }
    let utf16 = [0xff, 0xfe].into_iter().chain(windows.encode_utf16().flat_map(u16::to_le_bytes));
    let tables = import_bytes("page.csv", &utf16.collect::<Vec<u8>>()).unwrap().1;
    assert_eq!(super::Page::of(tables).get(0, "a__b"), 1500.0);
}

#[test]
fn a_name_over_several_lines_and_bytes_that_are_no_text_are_kept() {
    let text = "\"ID\",\"Kernel Name\",\"a__b\"\n\"\",\"\",\"\"\n\"0\",\"two\nlines \"\"q\"\"\",\"1\"\n";
    assert_eq!(Page::text(text).launches("name")[0].as_deref(), Some("two\nlines \"q\""));
    let bytes = b"\"ID\",\"Kernel Name\",\"a__b\"\n\"\",\"\",\"\"\n\"0\",\"k\xff\",\"1\"\n";
    let page = Page::of(import_bytes("page.csv", bytes).unwrap().1);
    assert_eq!(page.launches("name")[0].as_deref(), Some("k\u{fffd}"));
    assert_eq!(page.issue("invalid_utf8"), ("data_loss".to_owned(), 1));
}

#[test]
fn real_pages_give_the_same_in_any_window() {
    // A page longer than the window, its rows over the window's edge.
    let Some(path) = shared_data("ncu/gb200_cuda_graph_full/jaxtoolbox_cuda_graph_pdl.raw.csv") else { return };
    let text = std::fs::read_to_string(&path).unwrap();
    let start = text.match_indices('\n').nth(1).unwrap().0 + 1;
    let rows = csv_rows(&path);
    let long = [&text[..start], &text[start..].repeat(40)].concat();
    let (once, often) = (Page::text(&text), Page::text(&long));
    assert_eq!((rows.len(), often.rows), (5, once.rows * 40));
    assert_eq!(often.issue("no_value").1, once.issue("no_value").1 * 40);
    for (launch, other) in [(0, 117), (1, 58), (2, 119)] {
        assert_eq!(once.get(launch, "dram__bytes_read.sum"), often.get(other, "dram__bytes_read.sum"));
    }
}
