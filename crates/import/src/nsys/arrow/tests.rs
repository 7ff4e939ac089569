//! Files written by Apache Arrow's own library: streams one after another, packed, and one file a table.

use std::path::Path;
use std::sync::Arc;

use proftool_trace::frame::{Tables, ints, texts};
use proftool_trace::tables;

use super::*;
use crate::driver::into_memory;
use crate::fixture::import_bytes;
use crate::raw::Progress;

const STREAMS: &[u8] = include_bytes!("testdata/streams.arrow");
const ZSTD: &[u8] = include_bytes!("testdata/zstd.arrow");
const FILES: [(&str, &[u8]); 2] = [
    ("NVTX_EVENTS.arrow", include_bytes!("testdata/NVTX_EVENTS.arrow")),
    ("StringIds.arrow", include_bytes!("testdata/StringIds.arrow")),
];

fn check_ranges(tables: &Tables) {
    let ranges = tables.get(&tables::RANGES);
    let text = |column: &str| -> Vec<String> {
        texts(ranges, column).unwrap().into_iter().map(Option::unwrap_or_default).collect()
    };
    assert_eq!(text("name"), ["outer", "", "inner"]);
    assert_eq!(text("payload"), ["18446744073709551615", "0.1", "2.5"]);
    assert_eq!(ints(ranges, "end_ns").unwrap(), [Some(50), None, Some(4)]);
    assert_eq!(ints(ranges, "process").unwrap()[0], Some(2976));
}

#[test]
fn streams_one_after_another_give_all_tables_packed_or_not() {
    for bytes in [STREAMS, ZSTD] {
        let (imported, tables) = import_bytes("export.arrow", bytes).unwrap();
        assert_eq!(imported.importer, "nsys_arrow");
        check_ranges(&tables);
        let work = tables.get(&tables::ACTIVITIES);
        assert_eq!(ints(work, "start_ns").unwrap(), [Some(16), Some(26), Some(36)]);
        assert_eq!(ints(work, "call").unwrap(), [Some(0), Some(1), Some(2)], "calls of both batches");
        assert_eq!(ints(work, "queue").unwrap(), [Some(7), Some(7), None]);
        assert_eq!(ints(work, "graph_node").unwrap(), [None, Some(5), None]);
        assert_eq!(texts(work, "name").unwrap()[0].as_deref(), Some("jacobi_kernel(float *)"));
    }
}

#[test]
fn a_folder_of_files_is_one_capture_and_one_of_them_alone_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in FILES {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let (imported, tables) = into_memory(folder.path()).unwrap();
    assert_eq!(imported.importer, "nsys_arrow");
    check_ranges(&tables);
    let error = into_memory(&folder.path().join("NVTX_EVENTS.arrow")).unwrap_err().to_string();
    assert!(error.contains("import the folder"), "{error}");
}

fn scan(path: &Path) -> Result<u64, Error> {
    let source = Source::open(path, &Arc::new(Progress::default()))?;
    let export = Arrow::open(&source)?;
    let mut rows = 0;
    for table in ["StringIds", "CUPTI_ACTIVITY_KIND_RUNTIME", "CUPTI_ACTIVITY_KIND_KERNEL", "NVTX_EVENTS"] {
        let wanted = ["start", "end", "ok", "text", "value", "gridX", "doubleValue", "globalTid"];
        export.scan(table, &wanted, &mut |_| {
            rows += 1;
            Ok(())
        })?;
    }
    Ok(rows)
}

#[test]
fn cut_and_damaged_files_have_a_message_and_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.arrow");
    for bytes in [STREAMS, ZSTD] {
        std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let error = scan(&path).unwrap_err().to_string();
        assert!(error.contains("cut short") && error.contains("byte"), "{error}");
        let mut state = 11_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for _ in 0..500 {
            let mut damaged = bytes.to_vec();
            for _ in 0..=random() % 4 {
                let at = random() % damaged.len();
                damaged[at] = random() as u8;
            }
            std::fs::write(&path, &damaged).unwrap();
            let _ = scan(&path);
        }
    }
}
