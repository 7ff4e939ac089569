use super::*;
use crate::fixture::{Fixture, shared_data};
use proftool_trace::frame::{Tables, int_column, ints, text_column, texts};
use proftool_trace::tables;

fn ranges(tables: &Tables, window: Window) -> DataFrame {
    compute(&Input::new("run", "target", tables, window)).unwrap()
}

fn one(frame: &DataFrame, path: &str, column: &str) -> Option<i64> {
    let at = texts(frame, "path").unwrap().iter().position(|other| other.as_deref() == Some(path)).unwrap();
    ints(frame, column).unwrap()[at]
}

/// Two steps of one layer each. The first launches at 5 (in the layer) what runs in 20..40 and at 12 (in the step alone)
/// what runs in 50..60; the second launches in its layer what runs in 70..75.
fn steps() -> Fixture {
    Fixture::new()
        .range("step", (0, 20))
        .range("layer", (2, 10))
        .range("step", (30, 50))
        .range("layer", (32, 40))
        .kernel(0, 0, (20, 40))
        .launched((5, 6))
        .kernel(0, 1, (50, 60))
        .launched((12, 13))
        .kernel(0, 0, (70, 75))
        .launched((33, 34))
        .kernel(0, 0, (90, 95))
}

#[test]
fn ranges_of_one_path_are_summed() {
    let frame = ranges(&steps().tables(), Window::Default);
    let paths: Vec<_> = texts(&frame, "path").unwrap().into_iter().flatten().collect();
    assert_eq!(paths, ["step", "step > layer"]);
    let values = |column| ints(&frame, column).unwrap();
    assert_eq!(values("level"), [Some(0), Some(1)]);
    assert_eq!(values("instances"), [Some(2), Some(2)]);
    assert_eq!(values("total_ns"), [Some(40), Some(16)]);
    // The projections are 20..60 and 70..75.
    assert_eq!(values("projected_ns"), [Some(45), Some(25)]);
    assert_eq!(values("projected_median_ns"), [Some(22), Some(12)]);
    assert_eq!(values("operations"), [Some(3), Some(2)]);
    assert_eq!(values("busy_ns"), [Some(35), Some(25)]);
    assert_eq!(values("idle_ns"), [Some(10), Some(0)]);
    assert_eq!(values("exclusive_operations"), [Some(1), Some(2)]);
    assert_eq!(values("exclusive_busy_ns"), [Some(10), Some(25)]);
    let coverage = proftool_trace::frame::floats(&frame, "coverage_ratio").unwrap();
    assert_eq!(coverage, [Some(0.75), Some(0.75)]);
}

#[test]
fn a_range_belongs_to_the_window_in_which_it_begins() {
    let tables = steps().block((25, 60)).block((60, 100)).tables();
    let frame = ranges(&tables, Window::Default);
    assert_eq!(one(&frame, "block > step", "instances"), Some(1));
    assert!(!texts(&frame, "path").unwrap().contains(&Some("step".to_owned())), "it began before");
    let each = ranges(&tables, Window::Each);
    let windows: Vec<_> = texts(&each, "window").unwrap().into_iter().flatten().collect();
    assert_eq!(windows, ["block 0", "block 0", "block 0", "block 1"]);
    let named = ranges(&steps().tables(), Window::Named("step".to_owned()));
    assert_eq!(one(&named, "step > layer", "instances"), Some(2));
}

#[test]
fn what_cannot_be_projected_is_counted_with_its_reason() {
    let mut tables = steps().range("step", (60, 70)).range("step", (71, 72)).range("step", (80, 79)).tables();
    let mut frame = tables.get(&tables::RANGES).clone();
    let threads = [7, 7, 7, 7, 7, 7, 7].map(Some);
    frame.with_column(int_column("thread", threads)).unwrap();
    frame.with_column(int_column("end_thread", [7, 7, 7, 7, 8, 7, 7].map(Some))).unwrap();
    let ends = [Some(20), Some(10), Some(50), Some(40), Some(70), None, Some(79)];
    frame.with_column(int_column("end_ns", ends)).unwrap();
    let styles = ["push_pop", "push_pop", "push_pop", "mark", "push_pop", "push_pop", "push_pop"];
    frame.with_column(text_column("style", styles.map(Some))).unwrap();
    tables.set(&tables::RANGES, frame).unwrap();
    let frame = ranges(&tables, Window::Default);
    // The calls have no thread, so the ranges hold nothing.
    assert_eq!(one(&frame, "step", "instances"), Some(5));
    assert_eq!(one(&frame, "step", "projected"), Some(0));
    assert_eq!(one(&frame, "step", "unprojected"), Some(3));
    assert_eq!(one(&frame, "step", "total_ns"), Some(50), "20 + 20 + 10");
    let reasons: Vec<_> = texts(&frame, "unprojected_reason").unwrap().into_iter().flatten().collect();
    assert_eq!(reasons, ["1 never ended, 1 ended on another thread, 1 ends before it begins", "1 mark"]);
}

#[test]
fn a_path_shows_its_innermost_names() {
    let deep = (0..40).fold(Fixture::new(), |fixture, level| fixture.range("a", (level, 100 - level)));
    let frame = ranges(&deep.kernel(0, 0, (0, 1)).launched((50, 51)).tables(), Window::Default);
    assert_eq!(frame.height(), 40);
    let longest = texts(&frame, "path").unwrap().into_iter().flatten().map(|path| path.len()).max();
    assert_eq!(longest, Some("... > ".len() + 16 * "a > ".len() - 3));
}

#[test]
fn the_order_of_rows_changes_nothing() {
    let tables = steps().tables();
    let mut shuffled = tables.clone();
    for table in [&tables::RANGES, &tables::ACTIVITIES, &tables::CALLS] {
        shuffled.set(table, tables.get(table).reverse()).unwrap();
    }
    assert!(ranges(&tables, Window::Default).equals_missing(&ranges(&shuffled, Window::Default)));
}

#[test]
fn counters_in_names_do_not_make_rows_of_their_own() {
    let fixture = Fixture::new()
        .range("ProfilerStep#1", (0, 20))
        .range("aten::add, seq = 1, op_id = 2", (2, 10))
        .range("ProfilerStep#2", (30, 50))
        .range("aten::add, seq = 3, op_id = 4", (32, 40))
        .kernel(0, 0, (20, 40))
        .launched((5, 6));
    let frame = ranges(&fixture.tables(), Window::Default);
    assert_eq!(frame.height(), 2);
    assert_eq!(one(&frame, "ProfilerStep#* > aten::add, seq = *, op_id = *", "instances"), Some(2));
}

#[test]
fn parts_sum_to_the_whole_on_real_captures() {
    let files = [
        "nsys/h100x2_train_after.schema3.25.sqlite",
        "nsys/v100_p2p_nvlink.schema3.0.sqlite",
        "nsys/v100_staged_host.schema3.0.sqlite",
        "kineto/a100_nccl_world2.json.gz",
        "kineto/mi300x_vllm_piecewise_graph.json.gz",
    ];
    for file in files {
        let Some(path) = shared_data(file) else { return };
        let tables = proftool_import::into_memory(&path).unwrap().1;
        let input = Input::new("run", "target", &tables, Window::Default);
        let (frame, model) = (compute(&input).unwrap(), input.model().unwrap());
        let column = |name| ints(&frame, name).unwrap().into_iter().flatten().collect::<Vec<i64>>();
        let held = Instances::of_model(model).innermost.iter().flatten().count() as i64;
        assert_eq!(column("exclusive_operations").iter().sum::<i64>(), held, "{file}");
        assert_eq!(column("instances").iter().sum::<i64>(), tables.get(&tables::RANGES).height() as i64, "{file}");
        let (projected, busy, idle, work) =
            (column("projected_ns"), column("busy_ns"), column("idle_ns"), column("work_ns"));
        let own = column("exclusive_busy_ns");
        for at in 0..frame.height() {
            assert_eq!(projected[at], busy[at] + idle[at]);
            assert!(0 <= idle[at] && own[at] <= busy[at] && busy[at] <= work[at], "{file}");
        }
    }
}

/// Name and style of a range as NVIDIA's report prints it.
fn key(model: &Model, range: &crate::model::Range) -> String {
    let name = model.names.text(range.name);
    let domain = range.domain.map(|domain| model.names.text(domain)).filter(|domain| !domain.starts_with("domain "));
    let style = if range.style == crate::model::RangeStyle::StartEnd { "StartEnd" } else { "PushPop" };
    domain.map_or_else(|| format!("{name},{style}"), |domain| format!("{domain}:{name},{style}"))
}

/// Rows of a stored report, plain or packed.
fn report(folder: &std::path::Path) -> Vec<Vec<String>> {
    let plain = folder.join("nvtx_gpu_proj_sum.csv");
    let bytes = if plain.exists() {
        std::fs::read(plain).unwrap()
    } else {
        let packed = std::fs::File::open(folder.join("nvtx_gpu_proj_sum.csv.gz")).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut bytes).unwrap();
        bytes
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes.as_slice());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn the_projections_are_those_of_nsys_stats() {
    let files = [
        ("gh200_jacobi", "gh200_jacobi.schema3.6.sqlite"),
        ("h100x2_train_before", "h100x2_train_before.schema3.25.sqlite"),
        ("h100x2_train_after", "h100x2_train_after.schema3.25.sqlite"),
    ];
    for (name, file) in files {
        let Some(path) = shared_data(&format!("nsys/{file}")) else { return };
        let model = Model::read(&proftool_import::into_memory(&path).unwrap().1).unwrap();
        let all = Instances::of_model(&model);
        let mut children = vec![0_i64; all.projected.len()];
        for held in all.projected.iter().filter(|held| held.operations > 0) {
            if let Some(parent) = held.parent {
                children[parent as usize] += 1;
            }
        }
        // Projected, host, instances, launches, levels, children.
        let mut groups: HashMap<String, [i64; 6]> = HashMap::new();
        for (at, held) in all.projected.iter().enumerate() {
            let range = &model.ranges[all.range[at] as usize];
            let Some(span) = held.span() else { continue };
            let host = range.span.1 - range.span.0;
            let more = [span.1 - span.0, host, 1, held.launches.into(), held.level.into(), children[at]];
            let sums = groups.entry(key(&model, range)).or_default();
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        let rows = report(&shared_data(&format!("../golden/nsys-stats/{name}")).unwrap());
        assert!(!rows.is_empty());
        for row in &rows {
            let found = groups.remove(&format!("{},{}", row[0], row[1])).unwrap_or_else(|| panic!("{}", row[0]));
            let whole = |at: usize| row[at].parse::<i64>().unwrap();
            let mean = |at: usize| (row[at].parse::<f64>().unwrap() * found[2] as f64).round() as i64;
            let theirs = [whole(2), whole(3), whole(4), whole(10), mean(12), mean(13)];
            assert_eq!(found, theirs, "{name}: {}", row[0]);
        }
        assert!(groups.is_empty(), "{name}: {groups:?}");
    }
}
