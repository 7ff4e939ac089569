//! Capturing a user's command: what follows `--`.

use std::path::Path;

use proftool_capture::command::{self as session, Captured, Request};
use proftool_capture::process::{self, Limits};
use proftool_capture::{profiles, ranks};

use super::{Finished, Options, raw};
use crate::failure::{Failure, Kind, Outcome};
use crate::{artifacts, interrupt, machine, tty};

/// A command that is ready to be captured.
pub(crate) struct Prepared {
    request: Request<'static>,
    forward: bool,
}

/// How a command failed, and what becomes of its exit code.
pub(super) struct Failed {
    how: session::Failed,
    forward: bool,
    artifact: String,
}

impl Failed {
    /// How a pass over a target failed; the results are those of another.
    pub(super) fn of_target(how: session::Failed, artifact: &Path) -> Self {
        Self { how, forward: false, artifact: artifact.display().to_string() }
    }

    /// The command's own exit code if so asked.
    ///
    /// # Errors
    /// Else why it failed, with exit code 3.
    pub(super) fn outcome(&self) -> Outcome {
        let reason = format!("{} (hint: what was recorded is in {})", self.how.reason, self.artifact);
        if self.forward {
            tty::say(&format!("error: {reason}"));
            return Ok(u8::try_from(self.how.code).unwrap_or(u8::MAX));
        }
        Err(Failure::new(Kind::Target, anyhow::anyhow!(reason)))
    }
}

/// Checks the command and the preset's profilers before anything is written or run.
///
/// # Errors
/// When one of them cannot run here.
pub(super) fn prepare(options: &Options, parent: &Path) -> Result<Prepared, Failure> {
    let profile = profiles::find(&options.profile)
        .ok_or_else(|| Failure::usage(format!("no profile is called {}", options.profile)))?;
    let request = Request {
        command: options.command.clone(),
        profile,
        options: options.tools.options(profile)?,
        artifacts: parent.to_owned(),
        rank: ranks::detect(&|name| std::env::var(name).ok()),
        limits: Limits { timeout: options.timeout, grace: options.grace },
        // A terminal belongs to the group in front, which the command is not.
        input: !std::io::IsTerminal::is_terminal(&std::io::stdin()),
        command_line: machine::command_line(),
        environment: machine::environment(&proftool_hardware::probe()),
        stop: interrupt::listen(),
    };
    // After the handler of the program, which they pass the signals on to.
    process::signals::listen();
    process::adopt_orphans();
    session::check(&request).map_err(failure)?;
    Ok(Prepared { request, forward: options.forward_exit_code })
}

/// Runs the passes, and imports what they left.
///
/// # Errors
/// When the command cannot be started or the artifact not be written; how the command ended is in [`Finished`].
pub(super) fn capture(prepared: &Prepared) -> Result<Finished, Failure> {
    let request = &prepared.request;
    artifacts::check_writable(&request.artifacts)?;
    let mut captured = session::capture(request, &mut tty::say).map_err(failure)?;
    let failed = captured.failed.take();
    let partial = captured.draft.path().to_owned();
    let (artifact, data_loss) = finish(captured).map_err(|failure| {
        let partial = partial.display();
        let kept = format!("{failure}; what was recorded stays in {partial} (hint: `proftool import {partial}`)");
        let interrupted = failure.code() == Kind::Interrupted as u8;
        Failure::new(if interrupted { Kind::Interrupted } else { Kind::Io }, anyhow::anyhow!(kept))
    })?;
    let path = artifact.path.display().to_string();
    let failed = failed.map(|how| Failed { how, forward: prepared.forward, artifact: path });
    Ok(Finished { artifacts: vec![artifact], together: 1, lines: Vec::new(), data_loss, failed })
}

fn finish(captured: Captured) -> Result<(proftool_trace::Artifact, bool), Failure> {
    let partial = captured.draft.path().display().to_string();
    interrupt::check(format!("what was recorded stays in {partial}"))?;
    raw::import(captured, None)
}

pub(super) fn failure(error: session::Error) -> Failure {
    Failure::new(kind(&error), error)
}

fn kind(error: &session::Error) -> Kind {
    match error {
        session::Error::Process(process::Error::Output { .. }) | session::Error::Artifact(_) => Kind::Io,
        session::Error::Program { .. } | session::Error::Profiler { .. } | session::Error::Process(_) => Kind::Target,
        session::Error::NothingToCount { .. } => Kind::Usage,
        session::Error::Interrupted { .. } => Kind::Interrupted,
        session::Error::Later { reason, .. } => kind(reason),
    }
}
