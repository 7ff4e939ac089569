//! Files with random damage: an import of one ends, with tables or with a message, and never in a panic.

use std::fs;
use std::path::Path;

use super::rocpd::fake::{Fake, Schema, whole, write};
use crate::driver::into_memory;

/// Numbers that look random and are the same in every run (the generator of Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

/// Pieces that such files break on: limits of numbers, brackets, quotes, separators, bytes that are no text.
const PIECES: &[&[u8]] = &[
    b"-1",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"18446744073709551615",
    b"1e400",
    b"NaN",
    b"null",
    b"{}",
    b"[]",
    b"\"",
    b",",
    b"\n",
    b"{",
    b"]",
    b"\\u",
    b"\xff\xfe",
    b"\0",
    b"",
    b"0",
];

fn damaged(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at.max(40)),
            _ => {
                let end = (at + random.below(12)).min(bytes.len());
                bytes.splice(at..end, PIECES[random.below(PIECES.len())].iter().copied());
            }
        }
    }
    bytes
}

fn survive(name: &str, bytes: &[u8], rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut random = Random(rounds as u64);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..rounds {
        fs::write(&path, damaged(bytes, &mut random)).unwrap();
        if into_memory(&path).is_ok() { good += 1 } else { bad += 1 }
    }
    assert!(good > 0 && bad > 0, "{good} of {rounds} files were read: the damage is not of the size that it should be");
}

fn database(path: &Path) -> Vec<u8> {
    write(path, |connection| whole(&mut Fake::new(connection, "a", Schema::Tracks, 5, 1000, "m")));
    fs::read(path).unwrap()
}

#[test]
fn damaged_databases_end_in_tables_or_messages() {
    let folder = tempfile::tempdir().unwrap();
    survive("results.db", &database(&folder.path().join("whole.db")), 150);
}

#[test]
fn damaged_json_ends_in_tables_or_messages() {
    survive("results.json", crate::importers::rocprofv3_json::sample().as_bytes(), 150);
}

#[test]
fn damaged_tables_end_in_tables_or_messages() {
    let rows: Vec<String> = (0..300).map(|at| format!("{at},a,0,64,64,0,8,0,{at},{},1,2.5", at + 1)).collect();
    let header = "Dispatch_ID,Kernel_Name,GPU_ID,Grid_Size,Workgroup_Size,LDS_Per_Workgroup,Arch_VGPR,Accum_VGPR,\
                  Start_Timestamp,End_Timestamp,SQ_WAVES,SQ_BUSY";
    survive("pmc_perf.csv", format!("{header}\n{}\n", rows.join("\n")).as_bytes(), 150);
    let roofs = "device,HBMBw,HBMBwLow,hbmBwHigh,FP32Flops,MFMAI8Ops,MFMAFI8OpsLow\n0,1388.9,1,2,20941.9,1664,3\n1,1388.9,1,2,20941.9,1664,3\n";
    survive("roofline.csv", roofs.as_bytes(), 150);
}
