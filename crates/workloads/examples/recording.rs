//! What recording costs a target's blocks: recorded and unrecorded ones in turn, A B B A, in one process.
//!
//! `cargo run -p proftool-workloads --example recording -- 60` prints a JSON line for each group of four blocks: their times and
//! CPU times in ns, in the order in which they ran, and whether each was recorded.

use std::collections::BTreeMap;

use proftool_workloads::{Backend, Session, Settings, find};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let groups: usize = std::env::args().nth(1).map_or(Ok(20), |groups| groups.parse())?;
    let target = find("optimized_pipeline_parallelism").ok_or("the target exists")?;
    let cores: Vec<usize> = (0..std::thread::available_parallelism()?.get()).collect();
    let settings = |record| Settings {
        seed: 1,
        parameters: BTreeMap::new(),
        cores: cores.clone(),
        iterations: 1,
        blocks: 2 * groups + 2,
        warmup: 2,
        device_name: "processor".to_owned(),
        arch: "processor".to_owned(),
        backend: Backend::Cpu,
        record,
    };
    let prepare = |record| target.prepare(&settings(record));
    let mut sides: [Box<dyn Session>; 2] = [prepare(false)?, prepare(true)?];
    for side in &mut sides {
        side.warm_up(2)?;
    }
    for group in 0..=groups {
        // The side that begins changes from group to group.
        let order = if group % 2 == 0 { [0, 1, 1, 0] } else { [1, 0, 0, 1] };
        let mut rows = Vec::new();
        for side in order {
            let block = sides[side].run_block()?;
            let ns = block.fill_ns + block.iteration_ns.iter().sum::<i64>();
            rows.push(format!("[{}, {ns}, {}]", side == 1, block.cpu_ns));
        }
        // The first group only warms up.
        if group > 0 {
            println!("[{}]", rows.join(", "));
        }
    }
    Ok(())
}
