//! `proftool completions`: shell completions.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::commands::Cli;
use crate::failure::Outcome;
use crate::tty;

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool completions bash > ~/.local/share/bash-completion/completions/proftool
  proftool completions zsh > ~/.zfunc/_proftool")]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "proftool", &mut text);
    tty::print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}
