//! `proftool guard`: the guardian that a capture starts beside a command (not meant to be typed).

use std::ffi::OsString;

use proftool_capture::process::guard;

use crate::failure::Outcome;

/// Ends what is left of a capture when proftool itself was killed; a capture starts it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool guard MARK < PIPE       waits until the pipe closes, then ends the processes with that mark")]
pub(crate) struct Args {
    /// The mark of the run, as its processes have it in PROFTOOL_RUN
    mark: String,
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of every command")]
pub(crate) fn run(args: &Args) -> Outcome {
    guard::stand(&args.mark, std::io::stdin());
    Ok(0)
}

/// From now on captured commands have a guardian: this program, whatever became of its file meanwhile.
pub(crate) fn employ() {
    guard::start_with(["/proc/self/exe", "guard"].map(OsString::from).to_vec());
}
