//! Independent jobs on several threads, with results in the order of the jobs.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs every job on one of `threads` threads (at least one). The results are in the order of the jobs: they don't depend on
/// the number of threads where a job's result depends on nothing but the job.
pub fn in_order<J: Sync, R: Send>(jobs: &[J], threads: usize, run: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { return done };
            done.push((at, run(job)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|&(at, _)| at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_jobs_on_any_number_of_threads() {
        let jobs: Vec<u64> = (0..100).collect();
        for threads in [0, 1, 2, 7] {
            let squares = in_order(&jobs, threads, |&job| job * job);
            assert_eq!(squares, jobs.iter().map(|job| job * job).collect::<Vec<u64>>());
        }
        assert!(in_order(&[] as &[u64], 3, |&job| job).is_empty());
    }
}
