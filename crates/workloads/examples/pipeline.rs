//! Runs the pipeline pair as a capture does and prints block times: `cargo run -p proftool-workloads --example pipeline
//! -- [key=value]...`; `iterations`, `blocks`, `warmup` and `trace` (a folder) besides the targets' parameters.

use std::collections::BTreeMap;
use std::path::Path;

use proftool_workloads::{Block, Session, Settings, compare, find};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut parameters: BTreeMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|word| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect();
    let mut number = |name: &str, default: usize| -> usize {
        parameters.remove(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let (iterations, blocks, warmup) = (number("iterations", 4), number("blocks", 4), number("warmup", 2));
    let trace = parameters.remove("trace");
    let cores = (0..std::thread::available_parallelism()?.get()).collect();
    let (device_name, arch) = ("cpu".to_owned(), "unknown".to_owned());
    let settings = Settings { seed: 17, parameters, cores, iterations, blocks, device_name, arch };
    let mut sessions = Vec::new();
    for name in ["baseline_pipeline_parallelism", "optimized_pipeline_parallelism"] {
        let target = find(name).ok_or("no such target")?;
        println!("{name}: {:?}", target.resolve(&settings)?);
        let mut session = (target.prepare)(&settings)?;
        session.warm_up(warmup)?;
        sessions.push((name, session));
    }
    for round in 0..blocks {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for index in order {
            let (name, session) = &mut sessions[index];
            print_block(name, &session.run_block()?);
        }
    }
    finish(sessions, trace.as_deref().map(Path::new))
}

fn print_block(name: &str, block: &Block) {
    let ms: Vec<String> = block.iteration_ns.iter().map(|ns| format!("{:.1}", *ns as f64 / 1e6)).collect();
    let total = (block.fill_ns + block.iteration_ns.iter().sum::<i64>()) as f64 / 1e6;
    println!(
        "{name:30} total {total:7.1} ms, fill {:.1}, iterations [{}], contention {:.3}",
        block.fill_ns as f64 / 1e6,
        ms.join(", "),
        block.contention_ratio
    );
}

fn finish(mut sessions: Vec<(&str, Box<dyn Session>)>, trace: Option<&Path>) -> Result<(), Box<dyn std::error::Error>> {
    println!("{:?}", compare(sessions[1].1.outputs(), sessions[0].1.outputs()));
    for (name, session) in &mut sessions {
        let start = std::time::Instant::now();
        println!("{name}: {:?} in {:?}", session.verify()?, start.elapsed());
    }
    for (name, session) in sessions {
        if let Some(folder) = trace {
            session.finish(&folder.join(format!("{name}.trace")))?;
        }
    }
    Ok(())
}
