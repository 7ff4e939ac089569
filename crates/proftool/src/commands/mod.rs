//! The command line: one file a subcommand, each with its arguments and its `run`.

mod analyze;
mod capture;
mod ceilings;
mod completions;
mod doctor;
mod guard;
mod import;
mod list;
mod report;
mod roofline;
mod run;
mod simulate;

use clap::{Parser, Subcommand};

use crate::failure::Outcome;

const EXIT_CODES: &str = "Exit codes:
  0  ok
  1  a bug in proftool
  2  unknown or contradictory arguments
  3  the target or a tool failed (its own code is in the manifest)
  4  unreadable input or unwritable output
  5  data loss under --strict
  6  a gate failed, or nothing could be judged
  130  interrupted

Examples:
  proftool run --target pipeline_parallelism      capture a pair, analyse it, write the report
  proftool list targets                           what can be captured
  proftool roofline --artifacts artifacts         kernels by recoverable time";

/// Tells LLM-serving engineers how close a workload runs to the hardware limit, where the device waits, and whether it
/// got better.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Capture(capture::Args),
    Import(import::Args),
    Ceilings(ceilings::Args),
    Roofline(roofline::Args),
    Simulate(simulate::Args),
    Analyze(analyze::Args),
    Report(report::Args),
    List(list::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Guard(guard::Args),
}

impl Cli {
    /// Runs the chosen command.
    ///
    /// # Errors
    /// What the command says, with its exit code.
    pub(crate) fn run(&self) -> Outcome {
        guard::employ();
        match &self.command {
            Command::Run(args) => run::run(args),
            Command::Capture(args) => capture::run(args),
            Command::Import(args) => import::run(args),
            Command::Ceilings(args) => ceilings::run(args),
            Command::Roofline(args) => roofline::run(args),
            Command::Simulate(args) => simulate::run(args),
            Command::Analyze(args) => analyze::run(args),
            Command::Report(args) => report::run(args),
            Command::List(args) => list::run(args),
            Command::Doctor(args) => doctor::run(args),
            Command::Completions(args) => completions::run(args),
            Command::Guard(args) => guard::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_every_command_shows_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{} shows no example", sub.get_name());
        }
    }
}
