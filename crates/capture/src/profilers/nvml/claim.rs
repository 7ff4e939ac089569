//! Which rank of a job samples which GPU, so that no GPU is sampled twice.
//!
//! NVML shows every GPU of the node to each of its ranks, or, where the launcher confines a rank to its own GPUs (Slurm's
//! `--gpus-per-task`), only those; `CUDA_VISIBLE_DEVICES` has no part in it, and tells nothing about who shares what. So
//! nobody guesses: the first rank to claim a GPU samples it while its pass lasts. A claim is a socket with a name of its
//! own (unix(7), abstract namespace): the kernel gives a name once and takes it back when its holder ends, whatever way.
//!
//! Ranks in containers with network namespaces of their own do not see each other's claims; such containers have GPUs of
//! their own, too.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

/// The right to sample a device; it ends when it is dropped.
pub(super) struct Claim(
    #[expect(dead_code, reason = "it is held, and closed when it is dropped")] Option<UnixListener>,
);

/// Claims a device for a job; none where another rank of the job on this machine samples it.
///
/// Where the system has no such sockets, or the device no name, the device is taken: double samples are told apart by
/// their rank, lost ones are lost.
pub(super) fn claim(job: &str, device: Option<&str>) -> Option<Claim> {
    let Some(device) = device else { return Some(Claim(None)) };
    let Ok(address) = SocketAddr::from_abstract_name(name(job, device)) else { return Some(Claim(None)) };
    match UnixListener::bind_addr(&address) {
        Ok(socket) => Some(Claim(Some(socket))),
        Err(error) if error.kind() == ErrorKind::AddrInUse => None,
        Err(_) => Some(Claim(None)),
    }
}

/// At most 107 bytes, whatever the job is called.
fn name(job: &str, device: &str) -> String {
    let hash = job
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("proftool-nvml-{hash:016x}-{device}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_claimed_once_a_job_until_its_holder_lets_go() {
        let job = format!("test-{}", std::process::id());
        let first = claim(&job, Some("GPU-a")).expect("nobody has it");
        assert!(claim(&job, Some("GPU-a")).is_none());
        assert!(claim(&job, Some("GPU-b")).is_some() && claim("another", Some("GPU-a")).is_some());
        drop(first);
        assert!(claim(&job, Some("GPU-a")).is_some());
    }

    #[test]
    fn a_device_without_a_name_is_sampled() {
        assert!(claim("job", None).is_some() && claim("job", None).is_some());
        assert!(name(&"j".repeat(500), "GPU-00000000-0000-0000-0000-000000000000").len() <= 107);
    }
}
