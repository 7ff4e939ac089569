//! The profilers of one pass: which of them can work here, and driving them around a run.

use std::ffi::OsString;
use std::time::Duration;

use super::Error;
use crate::profilers::{self, Found, Kind, Launch, Missing, Note, Options, Profiler, Running, Severity};
use crate::profiles::Plan;

/// The profilers of one pass that work here.
pub(super) struct Crew {
    members: Vec<(&'static Profiler, Found)>,
    /// Notes about those that the pass does without.
    pub(super) absent: Vec<Note>,
}

/// The passes with their profilers; a pass that cannot be is replaced by its other form. A pass none of whose profilers
/// works here is left out, unless no other would be left.
///
/// # Errors
/// [`Error::Profiler`] for the first profiler that a pass needs and that cannot work here.
pub(super) fn find(profile: &'static str, plans: &[Plan]) -> Result<Vec<(&'static str, Crew)>, Error> {
    let mut passes = Vec::new();
    for plan in plans {
        passes.push(crew_or_other(profile, plan)?);
    }
    let empty = |crew: &Crew| crew.members.is_empty();
    if passes.iter().any(|(_, crew)| !empty(crew)) {
        passes.retain(|(_, crew)| !empty(crew));
    } else {
        passes.truncate(1);
    }
    Ok(passes)
}

/// The crew of a pass, or of the one that takes its place: then a note says why.
fn crew_or_other(profile: &'static str, plan: &Plan) -> Result<(&'static str, Crew), Error> {
    let first = match (crew(profile, plan), plan.otherwise) {
        (Ok(crew), _) => return Ok((plan.name, crew)),
        (Err(error), None) => return Err(error),
        (Err(error), Some(other)) => (error, other),
    };
    let (Error::Profiler { profiler, missing, .. }, other) = first else { return Err(first.0) };
    let Ok(mut crew) = crew(profile, other) else {
        // The first is what the preset is about; its fix is the one to tell.
        return Err(Error::Profiler { profile, profiler, missing });
    };
    let detail = format!("{} takes the place of {profiler}: {missing}", other.name);
    crew.absent.push(Note { severity: Severity::Info, code: "profiler_replaced", detail });
    Ok((other.name, crew))
}

fn crew(profile: &'static str, plan: &Plan) -> Result<Crew, Error> {
    let mut crew = Crew { members: Vec::new(), absent: Vec::new() };
    for wanted in plan.profilers {
        let Some(profiler) = profilers::find(wanted.name) else {
            // What this version cannot drive is no shortcoming of the machine.
            if wanted.where_present {
                continue;
            }
            let (reason, fix) = ("this version cannot drive it".to_owned(), "see `proftool list profilers`".to_owned());
            return Err(Error::Profiler { profile, profiler: wanted.name, missing: Missing { reason, fix } });
        };
        let found = (profiler.available)().map(|found| (profiler, found));
        match found {
            Ok(member) => crew.members.push(member),
            Err(missing) if wanted.where_present => crew.absent.push(Note {
                severity: Severity::Info,
                code: "profiler_absent",
                detail: format!("{} took no part: {missing}", wanted.name),
            }),
            Err(missing) => return Err(Error::Profiler { profile, profiler: wanted.name, missing }),
        }
    }
    Ok(crew)
}

/// A crew at work: what to launch, and what to stop afterwards.
pub(super) struct Started {
    /// The program and its arguments.
    pub(super) line: Vec<OsString>,
    /// Environment variables for it.
    pub(super) env: Vec<(OsString, OsString)>,
    running: Vec<Box<dyn Running>>,
}

impl Started {
    /// Stops what runs beside the target.
    pub(super) fn stop(self) -> Vec<Note> {
        self.running.into_iter().flat_map(Running::stop).collect()
    }
}

impl Crew {
    /// Whether none of its profilers works here.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Names of the profilers.
    pub(super) fn names(&self) -> Vec<String> {
        self.members.iter().map(|(profiler, _)| profiler.name.to_owned()).collect()
    }

    /// Names and versions of the profilers.
    pub(super) fn versions(&self) -> impl Iterator<Item = (String, String)> {
        self.members.iter().map(|(profiler, found)| (profiler.name.to_owned(), found.version.clone()))
    }

    /// The profiler whose command starts the target: what the run's end is told by.
    pub(super) fn wrapper(&self) -> Option<&'static str> {
        let mut wrapping = self.members.iter().filter(|(profiler, _)| matches!(profiler.kind, Kind::Wraps(_)));
        wrapping.next().map(|(profiler, _)| profiler.name)
    }

    /// The longest time that one of them needs to write its report once it is told to stop.
    pub(super) fn grace(&self) -> Duration {
        let of_one = |profiler: &Profiler| match &profiler.kind {
            Kind::Wraps(wrap) => wrap.grace,
            _ => Duration::ZERO,
        };
        self.members.iter().map(|(profiler, _)| of_one(profiler)).max().unwrap_or_default()
    }

    /// Composes the command line and starts what runs beside the target.
    ///
    /// # Errors
    /// [`Error::Profiler`] when a profiler that wraps the target, or is injected, cannot after all. What runs beside it
    /// and cannot is a note.
    pub(super) fn start(
        &self,
        launch: &Launch<'_>,
        profile: &'static str,
        options: &Options,
        notes: &mut Vec<Note>,
    ) -> Result<Started, Error> {
        let mut started = Started { line: launch.target.to_vec(), env: Vec::new(), running: Vec::new() };
        for (profiler, found) in &self.members {
            let refuse = |missing| Error::Profiler { profile, profiler: profiler.name, missing };
            match &profiler.kind {
                Kind::Wraps(wrap) => {
                    let inner = std::mem::take(&mut started.line);
                    let inner = Launch { target: &inner, ..*launch };
                    let (line, said) = (wrap.command)(found, &inner, options).map_err(refuse)?;
                    started.line = line;
                    notes.extend(said);
                }
                Kind::Injected(inject) => started.env.extend((inject.environment)(found, launch).map_err(refuse)?),
                Kind::Inside | Kind::Beside(_) => {}
            }
        }
        // Last, so that nothing runs when another one refuses.
        for (profiler, found) in &self.members {
            if let Kind::Beside(beside) = &profiler.kind {
                match (beside.start)(found, launch) {
                    Ok(running) => started.running.push(running),
                    Err(missing) => notes.push(Note {
                        severity: Severity::DataLoss,
                        code: "profiler_failed",
                        detail: format!("{} could not be started: {missing}", profiler.name),
                    }),
                }
            }
        }
        Ok(started)
    }

    /// What the profilers do once the run has ended.
    pub(super) fn after(&self, launch: &Launch<'_>) -> Vec<Note> {
        let of_one = |(profiler, found): &(&Profiler, Found)| match &profiler.kind {
            Kind::Wraps(wrap) => (wrap.after)(found, launch),
            Kind::Injected(inject) => (inject.after)(found, launch),
            Kind::Inside | Kind::Beside(_) => Vec::new(),
        };
        self.members.iter().flat_map(of_one).collect()
    }
}
