//! Fits a step model to real engines, then predicts other requests on them with the simulator and compares.
//!
//! `calibrate COMMAND FOLDER [SLOTS] [CONTEXT]`: the command launches an engine at `{port}`, whose output goes to the folder.
//! Prints a report in Markdown; `scripts/engines/calibrate` runs it.

mod bench;
mod measure;
mod report;

use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use proftool_serving::engines::{Engines, Plan, fit};

use bench::Bench;

/// Two engines: one thread each on a machine of two cores.
const ENGINES: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [command, folder, rest @ ..] = args.as_slice() else {
        return Err("usage: calibrate COMMAND FOLDER [SLOTS] [CONTEXT]".into());
    };
    let number = |at: usize, without: u32| rest.get(at).map_or(Ok(without), |text| text.parse::<u32>());
    let (slots, context) = (number(0, 4)?, number(1, 8192)?);
    let load = report::load_average();
    let engines = Engines::launch(&Plan::command(command, ENGINES, Path::new(folder))?, &AtomicBool::new(false))?;
    let mut bench = Bench::new(&engines, slots, context)?;
    measure::warm_up(&mut bench)?;
    let (prefilled, decoded) = measure::fitted(&mut bench)?;
    let fitted = fit(&prefilled, &decoded).ok_or("the times measured can't be fitted")?;
    let loads: Result<Vec<_>, _> = measure::LOADS.iter().map(|&at| measure::at_load(&mut bench, &fitted, at)).collect();
    print!("{}", report::markdown(command, (slots, context), (&prefilled, &decoded), &fitted, &loads?, &load));
    Ok(())
}
