//! Header rows: which page a table is, and which column holds what. Columns are found by name, never by position: NVTX
//! columns move the others, and every version has another set.

use super::cells::{Cell, Record, record};

/// The columns that identify a launch; `None` where the page has no such column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: Option<usize>,
    pub(super) process: Option<usize>,
    pub(super) name: Option<usize>,
    pub(super) block: Option<usize>,
    pub(super) grid: Option<usize>,
    pub(super) device: Option<usize>,
    pub(super) compute_capability: Option<usize>,
    /// Ranges that enclose the launch, on its thread and across threads.
    pub(super) nvtx: Vec<usize>,
}

/// The columns of a page with one metric a row (details, `--metrics`, a section).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Long {
    pub(super) identity: Identity,
    pub(super) section: Option<usize>,
    pub(super) label: Option<usize>,
    pub(super) metric: usize,
    pub(super) unit: Option<usize>,
    pub(super) value: usize,
    pub(super) rule: Option<usize>,
}

/// The columns of a page with one launch a row (raw).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wide {
    pub(super) identity: Identity,
    /// Name of the metric in each column; `None` where it holds something else.
    pub(super) metrics: Vec<Option<String>>,
    /// Whether it is somebody's pivot of a long page: no names, no units, row numbers for identifiers.
    pub(super) pivot: bool,
}

/// What a header row begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Long(Long),
    Wide(Wide),
    /// Minimum, maximum and average over launches: `--print-summary`.
    Summary,
}

/// Columns of the wide page that are no metrics and that nothing is taken from.
const OTHERS: &[&str] = &["Process Name", "Host Name", "Kernel Time", "Context", "Stream"];

/// The page that a line begins, where it is a header row.
///
/// Only a line that mentions what every header mentions is parsed.
pub(super) fn page(line: &[u8]) -> Option<Page> {
    let mentions = |text: &str| memchr::memmem::find(line, text.as_bytes()).is_some();
    if !mentions("Kernel Name") && !mentions("Metric Name") {
        return None;
    }
    let mut cells = Vec::new();
    let Record::Whole(..) = record(line, true, &mut cells) else { return None };
    let names: Vec<String> = cells.iter().map(|cell: &Cell<'_>| cell.text().trim().to_owned()).collect();
    classify(&names)
}

fn classify(names: &[String]) -> Option<Page> {
    let find = |name: &str| names.iter().position(|other| other == name);
    match (find("Metric Name"), find("Metric Value"), find("Average")) {
        (Some(metric), Some(value), _) if find("ID").is_some() && find("Kernel Name").is_some() => {
            let identity = identity(names);
            let (section, label) = (find("Section Name"), find("Body Item Label"));
            let (unit, rule) = (find("Metric Unit"), find("Rule Name"));
            Some(Page::Long(Long { identity, section, label, metric, unit, value, rule }))
        }
        (Some(_), None, Some(_)) if find("Kernel Name").is_some() => Some(Page::Summary),
        (Some(0), None, None) => pivot(names),
        (None, None, _) => wide(names),
        _ => None,
    }
}

fn identity(names: &[String]) -> Identity {
    let find = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
    Identity {
        id: find(&["ID"]),
        process: find(&["Process ID"]),
        name: find(&["Kernel Name"]),
        block: find(&["Block Size"]),
        grid: find(&["Grid Size"]),
        device: find(&["Device", "Device Id", "Device ID"]),
        compute_capability: find(&["CC"]),
        nvtx: (0..names.len()).filter(|column| is_nvtx(&names[*column])).collect(),
    }
}

/// `thread Domain:Push/Pop_Range:PL_Type:...` and `Id:Domain:Start/Stop_Range:PL_Type:...`.
fn is_nvtx(name: &str) -> bool {
    name.contains("Push/Pop_Range") || name.contains("Start/Stop_Range")
}

fn wide(names: &[String]) -> Option<Page> {
    let identity = identity(names);
    identity.name?;
    let known = [
        identity.id,
        identity.process,
        identity.name,
        identity.block,
        identity.grid,
        identity.device,
        identity.compute_capability,
    ];
    let metric = |column: usize| {
        let name = &names[column];
        let other = known.contains(&Some(column)) || is_nvtx(name) || OTHERS.contains(&name.as_str());
        (!other && is_metric_name(name)).then(|| name.clone())
    };
    let metrics: Vec<_> = (0..names.len()).map(metric).collect();
    metrics.iter().flatten().any(|name| name.contains("__")).then_some(Page::Wide(Wide {
        identity,
        metrics,
        pivot: false,
    }))
}

/// A pivot by metric name, as pandas writes it: the first column holds row numbers under the heading "Metric Name".
fn pivot(names: &[String]) -> Option<Page> {
    let metrics: Vec<_> = names.iter().enumerate().map(|(column, name)| (column > 0).then(|| name.clone())).collect();
    let real = names.len() > 1 && names[1..].iter().all(|name| name.contains("__"));
    let identity = Identity { id: Some(0), ..Identity::default() };
    real.then_some(Page::Wide(Wide { identity, metrics, pivot: true }))
}

/// Names of metrics have no spaces; some ("inst_executed") have no double underscore either.
fn is_metric_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_wherever_they_stand() {
        let line =
            b"\"ID\",\"Process ID\",\"thread Domain:Push/Pop_Range:PL_Type:PL_Value:CLR_Type:Color:Msg_Type:Msg\",\
            \"Kernel Name\",\"Section Name\",\"Body Item Label\",\"Metric Name\",\"Metric Unit\",\"Metric Value\"\r\n";
        let Some(Page::Long(long)) = page(line) else { panic!("a long page") };
        assert_eq!((long.identity.id, long.identity.name, long.identity.device), (Some(0), Some(3), None));
        assert_eq!(long.identity.nvtx, [2]);
        assert_eq!((long.label, long.metric, long.unit, long.value, long.rule), (Some(5), 6, Some(7), 8, None));
    }

    #[test]
    fn a_wide_page_knows_which_of_its_columns_are_metrics() {
        let line = b"\"ID\",\"Kernel Name\",\"Host Name\",\"CC\",\"dram__bytes.sum\",\"inst_executed\",\"Some Thing\"";
        let Some(Page::Wide(wide)) = page(line) else { panic!("a wide page") };
        let metrics: Vec<_> = wide.metrics.iter().map(Option::as_deref).collect();
        assert_eq!(metrics, [None, None, None, None, Some("dram__bytes.sum"), Some("inst_executed"), None]);
        assert_eq!(wide.identity.compute_capability, Some(3));
    }

    #[test]
    fn a_pivot_and_a_summary_are_told_apart_from_foreign_tables() {
        assert!(matches!(page(b"Metric Name,dram__bytes.sum,a__b\n"), Some(Page::Wide(Wide { pivot: true, .. }))));
        let summary =
            b"\"Process ID\",\"Kernel Name\",\"Metric Name\",\"Metric Unit\",\"Minimum\",\"Maximum\",\"Average\"";
        assert_eq!(page(summary), Some(Page::Summary));
        for foreign in [
            "Time,dram__bytes.sum,kernelname",
            "kernel_id,kernel_name,display_name",
            "kernel_id,section,metric_name,value",
            "\"Kernel Name\",\"addConstDouble(int)\",",
            "Metric Name,Metric Value",
            "Metric Name,total",
            "the Kernel Name is \"open",
        ] {
            assert_eq!(page(foreign.as_bytes()), None, "{foreign}");
        }
    }
}
