//! Bytes of each level. Every way to them has a name of its own, since those of one level do not count the same.

use super::Note;
use super::page::{Page, in_roofline};
use super::sum::{Scale, Sum, Term};
use crate::Level;

/// Bytes of one level.
#[derive(Clone, Debug)]
pub(super) struct BytesPlan {
    pub(super) level: Level,
    pub(super) sum: Sum,
    /// The part of the formula's identifier.
    pub(super) part: &'static str,
}

/// A way to bytes: the part of the identifier, and counters with their bytes a count, of which all are needed.
type Way = (&'static str, &'static [(&'static str, f64)]);

const DRAM: &[Way] = &[
    ("dram-bytes", &[("dram__bytes", 1.0)]),
    ("dram-bytes", &[("dram__bytes_read", 1.0), ("dram__bytes_write", 1.0)]),
    ("dram-bytes", &[("dram__bytes_op_read", 1.0), ("dram__bytes_op_write", 1.0)]),
    ("dram-sectors", &[("dram__sectors", 32.0)]),
    ("dram-sectors", &[("dram__sectors_read", 32.0), ("dram__sectors_write", 32.0)]),
    ("dram-sectors", &[("dram__sectors_op_read", 32.0), ("dram__sectors_op_write", 32.0)]),
];

/// NERSC and 2022, then the sections of 2025, then sectors, then what comes back from L2 only.
pub(super) const L2: &[Way] = &[
    ("l2-t-bytes", &[("lts__t_bytes", 1.0)]),
    ("l2-lts2xbar", &[("lts__lts2xbar_cycles_active", 32.0)]),
    ("l2-lts2xbar", &[("derived__lts__lts2xbar_bytes", 1.0)]),
    ("l2-t-sectors", &[("lts__t_sectors", 32.0)]),
    ("l2-xbar-reads", &[("l1tex__m_xbar2l1tex_read_bytes", 1.0)]),
];

/// NERSC and 2022, then the sections of 2025 from compute capability 9.0, then those from 7.5, then those before it.
pub(super) const L1: &[Way] = &[
    ("l1-t-bytes", &[("l1tex__t_bytes", 1.0)]),
    ("l1-writeback-lgds", &[("l1tex__lsu_writeback_active_mem_lgds", 128.0)]),
    ("l1-writeback-lgds", &[("derived__l1tex__lsu_writeback_bytes_mem_lgds", 1.0)]),
    ("l1-writeback-lg", &[("l1tex__lsu_writeback_active_mem_lg", 128.0)]),
    ("l1-writeback-lg", &[("derived__l1tex__lsu_writeback_bytes_mem_lg", 1.0)]),
    ("l1-writeback", &[("l1tex__lsu_writeback_active", 128.0)]),
    ("l1-writeback", &[("derived__l1tex__lsu_writeback_bytes", 1.0)]),
];

/// Compute capabilities with LPDDR memory, of which ncu counts no bytes: Orin, Thor, GB10.
const WITHOUT_DRAM: [u32; 3] = [87, 110, 121];

/// Chooses a way to the bytes of each level.
pub(super) fn choose(page: &mut Page<'_>, arch: Option<u32>, notes: &mut Vec<Note>) -> Vec<BytesPlan> {
    let mut plans = Vec::new();
    if arch.is_some_and(|arch| WITHOUT_DRAM.contains(&arch)) {
        let detail = "ncu has no counters of bytes for the memory of this compute capability: analytic bytes only";
        notes.push(Note { code: "no-dram-counters", detail: detail.to_owned() });
    } else {
        plans.extend(dram(page));
    }
    let level = |page: &mut Page<'_>, level, ways: &[Way]| {
        let way = ways.iter().find_map(|(part, terms)| Some((*part, sum(page, terms)?)));
        way.map(|(part, sum)| BytesPlan { level, sum, part })
    };
    plans.extend(level(page, Level::L2, L2));
    plans.extend(level(page, Level::L1, L1));
    for plan in &plans {
        if plan.part.starts_with("l1-writeback") && arch.is_some_and(|arch| arch >= 90) {
            let detail = "L1 bytes are those that the load-store unit writes back; TMA loads do not pass through it";
            notes.push(Note { code: "tma-not-in-l1", detail: detail.to_owned() });
        }
        if plan.part == "l2-xbar-reads" {
            let detail = "L2 bytes are reads by L1 only; the page counts no writes";
            notes.push(Note { code: "l2-reads-only", detail: detail.to_owned() });
        }
    }
    plans
}

fn sum(page: &mut Page<'_>, counters: &[(&str, f64)]) -> Option<Sum> {
    let terms = counters.iter().map(|(base, bytes)| page.term(&[base], *bytes));
    terms.collect::<Option<Vec<_>>>().map(Sum)
}

/// Counts before rates, in whatever counters they are; then what the sections show.
fn dram(page: &mut Page<'_>) -> Option<BytesPlan> {
    let level = Level::Dram;
    let whole =
        |page: &Page<'_>, counters: &[(&str, f64)]| counters.iter().all(|(base, _)| page.has(&format!("{base}.sum")));
    let counted = DRAM.iter().find(|(_, counters)| whole(page, counters));
    if let Some((part, counters)) = counted {
        return sum(page, counters).map(|sum| BytesPlan { level, sum, part });
    }
    if let Some((part, sum)) = DRAM.iter().find_map(|(part, counters)| Some((*part, sum(page, counters)?))) {
        return Some(BytesPlan { level, sum, part });
    }
    let workload = |section: &str| section == "section:Memory Workload Analysis";
    let shown = page.shown("DRAM Bandwidth", in_roofline).or_else(|| page.shown("Memory Throughput", workload))?;
    let term = Term { slot: shown, factor: 1.0, scale: Scale::PerSecond };
    Some(BytesPlan { level, sum: Sum(vec![term]), part: "dram-rate" })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::super::tests::{counted, notes};
    use crate::Level;

    fn bytes(metrics: &[(&str, f64)], arch: &str, level: Level) -> Option<(f64, String)> {
        let found = counted(metrics, None, Some(arch));
        let bytes = found.counts.bytes_of(level)?;
        Some((bytes, found.counts.formula.unwrap().to_string()))
    }

    #[test]
    fn dram_bytes_of_an_rtx_5070_are_the_authors_bandwidths() {
        // Reads, writes, ns, and GB/s as the authors' table prints them.
        for (read, write, ns, theirs) in [
            (134_221_568.0, 43_631_104.0, 292_928.0, "607.15"),
            (54_207_744.0, 26_601_216.0, 9_589_248.0, "8.43"),
            (42_139_648.0, 2_289_664.0, 2_970_912.0, "14.95"),
            (53_261_312.0, 3_377_920.0, 10_195_552.0, "5.56"),
            (17_056_256.0, 13_000_960.0, 85_824.0, "350.22"),
        ] {
            let metrics = [
                ("dram__bytes_op_read.sum", read),
                ("dram__bytes_op_write.sum", write),
                ("gpu__time_duration.sum", ns),
            ];
            let found = counted(&metrics, None, Some("sm_120")).counts;
            assert_eq!(found.replay_ns, Some(ns));
            assert_eq!(format!("{:.2}", found.bytes_of(Level::Dram).unwrap() / ns), theirs);
        }
    }

    #[test]
    fn counts_come_before_rates_and_one_way_is_taken() {
        // A GB200 page: 1333333333.33 byte/s in 5184 ns are the 6912 bytes that it counts too.
        let metrics = [
            ("dram__bytes.sum.per_second", 1_333_333_333.33),
            ("dram__bytes_read.sum", 6912.0),
            ("dram__bytes_write.sum", 0.0),
            ("gpu__time_duration.sum", 5184.0),
        ];
        assert_eq!(bytes(&metrics, "sm_100", Level::Dram), Some((6912.0, "dram-bytes/ncu".to_owned())));
        let (rated, _) = bytes(&[metrics[0], metrics[3]], "sm_100", Level::Dram).unwrap();
        assert!((rated / 6912.0 - 1.0).abs() < 1e-9);
        assert_eq!(bytes(&metrics[1..2], "sm_100", Level::Dram), None, "reads alone are not the traffic");
        let sectors = [("dram__sectors_read.sum", 216.0), ("dram__sectors_write.sum", 0.0)];
        assert_eq!(bytes(&sectors, "sm_100", Level::Dram), Some((6912.0, "dram-sectors/ncu".to_owned())));
    }

    #[test]
    fn each_way_to_l2_and_l1_has_its_name() {
        // The same page: 434413580.25 active cycles of 32 bytes a second, in 5184 ns, are 72064 bytes.
        let metrics = [
            ("lts__lts2xbar_cycles_active.sum.per_second", 434_413_580.25),
            ("derived__lts__lts2xbar_bytes.sum.per_second", 13_901_234_567.90),
            ("l1tex__m_xbar2l1tex_read_bytes.sum", 4096.0),
            ("l1tex__lsu_writeback_active_mem_lgds.sum", 32.0),
            ("gpu__time_duration.sum", 5184.0),
        ];
        let (l2, formula) = bytes(&metrics, "sm_100", Level::L2).unwrap();
        assert!((l2 / 72064.0 - 1.0).abs() < 1e-9);
        assert_eq!(formula, "l2-lts2xbar+l1-writeback-lgds/ncu");
        let (derived, _) = bytes(&[metrics[1], metrics[4]], "sm_100", Level::L2).unwrap();
        assert!((derived / l2 - 1.0).abs() < 1e-9);
        assert_eq!(bytes(&metrics, "sm_100", Level::L1).unwrap().0, 4096.0);
        assert_eq!(bytes(&metrics[2..3], "sm_100", Level::L2), Some((4096.0, "l2-xbar-reads/ncu".to_owned())));
        let old = [("l1tex__lsu_writeback_active_mem_lg.sum", 2.0), ("lts__t_bytes.sum", 64.0)];
        assert_eq!(bytes(&old, "sm_86", Level::L1), Some((256.0, "l2-t-bytes+l1-writeback-lg/ncu".to_owned())));
        assert!(notes(&metrics, Some("sm_100")).contains(&"tma-not-in-l1"));
        assert!(!notes(&old, Some("sm_86")).contains(&"tma-not-in-l1"));
    }

    #[test]
    fn devices_without_dram_counters_have_no_dram_bytes_and_say_so() {
        for arch in ["sm_87", "sm_110", "sm_121"] {
            assert_eq!(bytes(&[("dram__bytes.sum", 1.0)], arch, Level::Dram), None);
            assert!(notes(&[], Some(arch)).contains(&"no-dram-counters"));
        }
        assert!(!notes(&[], Some("sm_120")).contains(&"no-dram-counters"));
    }

    #[test]
    fn sections_show_bytes_per_second() {
        let metrics = [
            ("section:Memory Workload Analysis|Memory Throughput", 958.09e9),
            ("section:GPU Speed Of Light Throughput|Memory Throughput", 54.36),
            ("section:GPU Speed Of Light Throughput|Duration", 18_340.0),
        ];
        let (dram, formula) = bytes(&metrics, "sm_120", Level::Dram).unwrap();
        // The page also counts 17.57 Mbyte.
        assert!((dram / 17.57e6 - 1.0).abs() < 1e-3);
        assert_eq!(formula, "dram-rate/ncu");
    }
}
