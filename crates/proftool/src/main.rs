//! `proftool`: capture, analyse and report LLM routing and inference workloads.

mod artifacts;
mod ceilings;
mod commands;
mod failure;
mod hardware_key;
mod inject;
mod interrupt;
mod machine;
mod memory;
mod names;
mod output;
mod progress;
mod roofline;
mod rules;
mod tty;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Cli;

fn main() -> ExitCode {
    memory::keep_freed_buffers();
    inject::offer();
    let cli = Cli::parse();
    match cli.run() {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            crate::tty::say(&format!("error: {failure}"));
            ExitCode::from(failure.code())
        }
    }
}
