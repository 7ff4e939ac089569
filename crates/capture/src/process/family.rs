//! Every process of a run, found through /proc and signalled by number, never by name.
//!
//! A process belongs to a run when it is in its group or session, descends from its command, or carries its mark in the
//! environment; a program that adopts orphans ([`adopt_orphans`]) also counts what was handed to it during the run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proftool_tracer::clock::unix_ns;

/// Environment variable that marks the processes of a run.
pub(super) const MARK: &str = "PROFTOOL_RUN";
/// How often it is looked whether the rest has ended.
const TICK: Duration = Duration::from_millis(10);
/// Time after SIGKILL until processes that do not die (they hang in a driver) are given up.
const GIVE_UP: Duration = Duration::from_secs(5);

static ADOPTS: AtomicBool = AtomicBool::new(false);

/// From now on orphans of this process's children become its own children, so that no process of a run can escape by
/// being orphaned. For programs that start nothing else while a run lasts.
pub fn adopt_orphans() {
    // SAFETY: prctl with these arguments changes a flag of the calling process only.
    let set = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    ADOPTS.store(set == 0, Ordering::Relaxed);
}

/// The processes of one run.
pub(super) struct Family {
    mark: String,
    root: libc::pid_t,
    /// Children that this process had before the run.
    before: BTreeSet<libc::pid_t>,
}

impl Family {
    /// The family of a command that is yet to be started.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mark = format!("{}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed), unix_ns());
        let before =
            if ADOPTS.load(Ordering::Relaxed) { children_of(own_pid(), &processes()) } else { BTreeSet::new() };
        Self { mark, root: 0, before }
    }

    /// What is left of the run with that mark, seen from another process; a `root` of 0 is not known.
    pub(super) fn of_mark(mark: &str, root: libc::pid_t) -> Self {
        Self { mark: mark.to_owned(), root: root.max(0), before: BTreeSet::new() }
    }

    /// Takes a child of this process that has no part in the run.
    pub(super) fn without(mut self, pid: Option<libc::pid_t>) -> Self {
        self.before.extend(pid);
        self
    }

    /// The value of [`MARK`].
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// The family of the command with that number, which leads its own group.
    pub(super) fn of(self, root: libc::pid_t) -> Self {
        Self { root, ..self }
    }

    /// Asks the command to end, as a terminal does: a signal to its own group alone.
    pub(super) fn ask(&self, signal: libc::c_int) {
        kill(-self.root, signal);
    }

    /// Sends a signal to every process of the run, and returns how many were seen.
    pub(super) fn signal(&self, signal: libc::c_int) -> usize {
        let members = self.members();
        let inside = |process: &Process| self.root > 0 && process.group == self.root;
        // The group first: at once, and also what was started since the members were listed.
        if members.values().any(inside) {
            kill(-self.root, signal);
        }
        let outside: Vec<_> = members.iter().filter(|(_, process)| !inside(process)).map(|(pid, _)| *pid).collect();
        kill_all(&outside, signal);
        members.len()
    }

    /// Kills the whole family, as [`Family::signal`].
    pub(super) fn kill(&self) -> usize {
        self.signal(libc::SIGKILL)
    }

    /// Ends what outlived the command: left alone for `linger`, then SIGTERM, `grace` later SIGKILL. Returns how many
    /// processes had to be told.
    pub(super) fn end_rest(&self, linger: Duration, grace: Duration) -> usize {
        let start = Instant::now();
        let (mut told, mut termed) = (BTreeSet::new(), false);
        loop {
            let rest: Vec<libc::pid_t> = self.members().into_keys().filter(|pid| *pid != self.root).collect();
            let elapsed = start.elapsed();
            if rest.is_empty() || elapsed > linger + grace + GIVE_UP {
                return told.len();
            }
            if elapsed >= linger + grace {
                kill_all(&rest, libc::SIGKILL);
                told.extend(rest);
            } else if elapsed >= linger && !termed {
                kill_all(&rest, libc::SIGTERM);
                told.extend(rest);
                termed = true;
            }
            std::thread::sleep(TICK);
        }
    }

    /// The living processes of the run. Those that ended and were handed to this process are reaped on the way.
    fn members(&self) -> BTreeMap<libc::pid_t, Process> {
        let all = processes();
        let own = own_pid();
        let mut found: BTreeSet<libc::pid_t> = BTreeSet::from([self.root]);
        // Kernel threads are in group 0, and 0 is the parent of the first process.
        found.remove(&0);
        let adopts = ADOPTS.load(Ordering::Relaxed);
        for (pid, process) in &all {
            let adopted = adopts && process.parent == own && !self.before.contains(pid);
            let rooted = self.root > 0 && (process.group == self.root || process.session == self.root);
            if rooted || adopted || self.is_marked(*pid) {
                found.insert(*pid);
            }
        }
        // Children of members, until there are no more.
        loop {
            let before = found.len();
            let more: Vec<_> =
                all.iter().filter(|(_, process)| found.contains(&process.parent)).map(|(pid, _)| *pid).collect();
            found.extend(more);
            if found.len() == before {
                break;
            }
        }
        found.remove(&own);
        let ended = |pid: &libc::pid_t, process: &Process| {
            if process.zombie && process.parent == own && *pid != self.root {
                // SAFETY: a null status is allowed.
                unsafe { libc::waitpid(*pid, std::ptr::null_mut(), libc::WNOHANG) };
            }
            process.zombie
        };
        all.into_iter().filter(|(pid, process)| found.contains(pid) && !ended(pid, process)).collect()
    }

    /// Whether the environment that a process was started with carries the mark. Another user's is not readable.
    fn is_marked(&self, pid: libc::pid_t) -> bool {
        let wanted = format!("{MARK}={}", self.mark);
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|text| text.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
    }
}

/// One process of the system.
#[derive(Clone, Copy, Debug)]
struct Process {
    parent: libc::pid_t,
    group: libc::pid_t,
    session: libc::pid_t,
    zombie: bool,
}

fn processes() -> BTreeMap<libc::pid_t, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter_map(|pid: libc::pid_t| Some((pid, stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// The fields of `/proc/PID/stat` (proc(5)): the name stands in parentheses and may hold some itself.
fn stat(text: &str) -> Option<Process> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let zombie = matches!(words.next()?, "Z" | "X");
    let mut number = || words.next()?.parse().ok();
    Some(Process { zombie, parent: number()?, group: number()?, session: number()? })
}

fn children_of(parent: libc::pid_t, all: &BTreeMap<libc::pid_t, Process>) -> BTreeSet<libc::pid_t> {
    all.iter().filter(|(_, process)| process.parent == parent).map(|(pid, _)| *pid).collect()
}

fn own_pid() -> libc::pid_t {
    std::process::id() as libc::pid_t
}

fn kill(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: kill takes numbers only. It fails for a process that has just ended, which is what was wanted.
    unsafe { libc::kill(pid, signal) };
}

fn kill_all(pids: &[libc::pid_t], signal: libc::c_int) {
    for pid in pids {
        kill(*pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let process = stat("42 (a) Z (b) S 7 8 9 0 -1").expect("readable");
        assert_eq!((process.parent, process.group, process.session, process.zombie), (7, 8, 9, false));
        assert!(stat("42 (sh) Z 1 2 3").expect("readable").zombie);
        assert!(stat("").is_none());
    }
}
