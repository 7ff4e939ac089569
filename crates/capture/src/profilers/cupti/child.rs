//! Questions to the CUDA driver, asked in a child process: a driver that hangs is left behind with it, and proftool's own
//! process stays without one, since a library is injected only where the driver is initialised after it was named.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long a question may take: a driver that has to wake eight GPUs takes seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// Puts a question to the driver. A child could not use a driver that this process has initialised: then it is asked here.
///
/// # Errors
/// What the question says; that there was no answer in time.
pub(in crate::profilers) fn ask(question: impl Fn() -> Result<String, String>) -> Result<String, String> {
    if proftool_inject::is_driver_ready() { question() } else { in_child(LIMIT, question) }
}

fn in_child(limit: Duration, question: impl Fn() -> Result<String, String>) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("no child process could ask the driver: {error}");
    let (answer, end) = std::io::pipe().map_err(failed)?;
    // SAFETY: the child runs one thread, which asks, writes and ends without unwinding or running exit handlers. Where
    // another thread held a lock that it needs, it hangs and is killed like one whose driver hangs.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(failed(std::io::Error::last_os_error()));
    }
    if child == 0 {
        drop(answer);
        respond(File::from(OwnedFd::from(end)), &question);
    }
    drop(end);
    let told = read(File::from(OwnedFd::from(answer)), limit);
    // SAFETY: the child is this function's own and has not been waited for, so that the number is still its.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    let told = told.map_err(failed)?.ok_or_else(|| format!("the driver gave no answer within {limit:?}"))?;
    match told.split_at_checked(1) {
        Some(("+", answer)) => Ok(answer.to_owned()),
        Some(("-", reason)) => Err(reason.to_owned()),
        _ => Err("the driver ended the process that asked it".to_owned()),
    }
}

/// The child's part.
fn respond(mut end: File, question: &impl Fn() -> Result<String, String>) -> ! {
    // SAFETY: the only thread of this process; the name ends in a zero byte. Otherwise the driver would load the user's
    // profiler, or proftool's recorder, into this process.
    unsafe { libc::unsetenv(c"CUDA_INJECTION64_PATH".as_ptr()) };
    let answer = catch_unwind(AssertUnwindSafe(question));
    let text = match answer {
        Ok(Ok(answer)) => format!("+{answer}"),
        Ok(Err(reason)) => format!("-{reason}"),
        Err(_) => String::new(),
    };
    // The parent reads an answer that could not be written as none.
    let _ = end.write_all(text.as_bytes());
    // SAFETY: it ends the process, whose exit handlers are its parent's.
    unsafe { libc::_exit(0) }
}

/// Everything up to the other side's end; `None` when that does not come in time.
fn read(mut answer: File, limit: Duration) -> std::io::Result<Option<String>> {
    let until = Instant::now() + limit;
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        let mut wanted = libc::pollfd { fd: answer.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure that lives.
        match unsafe { libc::poll(&raw mut wanted, 1, i32::try_from(left).unwrap_or(i32::MAX)) } {
            0 => return Ok(None),
            1.. => {}
            _ => {
                let error = std::io::Error::last_os_error();
                if error.kind() == std::io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            }
        }
        match answer.read(&mut part)? {
            0 => return Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            count => bytes.extend_from_slice(&part[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn an_answer_and_a_refusal_come_back_from_the_child() {
        let own = std::process::id();
        let child = in_child(SOON, || Ok(std::process::id().to_string())).expect("an answer");
        assert!(child != own.to_string() && child.parse::<u32>().is_ok(), "{child}");
        assert_eq!(in_child(SOON, || Err("no device".to_owned())), Err("no device".to_owned()));
        let long = "x".repeat(100_000);
        assert_eq!(in_child(SOON, || Ok(long.clone())), Ok(long.clone()));
    }

    #[test]
    fn a_driver_that_ends_the_process_or_hangs_is_told() {
        // SAFETY: it ends the child.
        let ended = in_child(SOON, || unsafe { libc::_exit(3) }).expect_err("no answer");
        assert!(ended.contains("ended the process"), "{ended}");
        let hung = in_child(Duration::from_millis(100), || {
            loop {
                std::thread::sleep(SOON);
            }
        });
        assert!(hung.expect_err("no answer").contains("within 100ms"));
    }
}
