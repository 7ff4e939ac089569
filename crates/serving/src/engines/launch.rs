//! Engines that are launched for a run and end with it.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::describe::discover;
use super::failure::shortened;
use super::{Address, Error};

/// What to launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// A line for the shell, in which `{port}` is where the engine must listen and `{device}` its number from 0.
    pub command: String,
    /// Variables of its environment, with the same words in their values.
    pub environment: Vec<(String, String)>,
    /// How many.
    pub count: usize,
    /// How long they may take until they answer.
    pub ready: Duration,
    /// Where what they print goes, a file each.
    pub logs: PathBuf,
}

/// Time between asking engines to end and ending them.
const GRACE_S: u64 = 5;
/// Large weights are read from slow disks.
const READY: Duration = Duration::from_mins(15);
const POLL: Duration = Duration::from_millis(50);

/// Stands between us and an engine: `$1` seconds of grace, `$2` the engine's command line. The pipe on its standard input
/// closes when we end, also when we are killed; then it ends the whole process group, which is its own.
const SUPERVISOR: &str = r#"
exec 3<&0
sh -c "exec $2" </dev/null 3<&- &
engine=$!
( trap '' TERM; read -r _ <&3; kill -TERM 0; sleep "$1"; kill -KILL 0 ) &
trap : TERM
while wait "$engine"; code=$?; kill -0 "$engine" 2>/dev/null; do :; done
echo "the engine ended with status $code"
kill -KILL 0
"#;

impl Plan {
    /// Two or more vLLM servers, one a device. `model` is what `VLLM_MODEL` says.
    ///
    /// # Errors
    /// Without a model, and with fewer than two devices.
    pub fn vllm(model: Option<&str>, devices: usize, logs: &Path) -> Result<Self, Error> {
        let refusal = |what: &str, hint: &str| Error::Launch { what: what.to_owned(), hint: hint.to_owned() };
        let model = model.filter(|model| !model.is_empty()).ok_or_else(|| {
            refusal("vLLM needs a model and VLLM_MODEL is not set", "VLLM_MODEL=meta-llama/Llama-3.1-8B-Instruct")
        })?;
        if devices < 2 {
            let what = format!("routing needs at least two devices and this machine has {devices}");
            return Err(refusal(&what, "give endpoints=http://host:port,... of engines that run elsewhere"));
        }
        Ok(Self {
            command: "vllm serve \"$VLLM_MODEL\" --host 127.0.0.1 --port {port} --enable-prompt-tokens-details"
                .to_owned(),
            environment: vec![
                ("VLLM_MODEL".to_owned(), model.to_owned()),
                ("CUDA_VISIBLE_DEVICES".to_owned(), "{device}".to_owned()),
            ],
            count: devices,
            ready: READY,
            logs: logs.to_owned(),
        })
    }

    /// Engines of a command line: llama.cpp's `llama-server -m model.gguf --port {port} --metrics`, or any other.
    ///
    /// # Errors
    /// Where it does not say which port.
    pub fn command(line: &str, count: usize, logs: &Path) -> Result<Self, Error> {
        if !line.contains("{port}") {
            return Err(Error::Launch {
                what: format!("`{line}` does not say where the engine listens"),
                hint: "write {port}: llama-server -m model.gguf --port {port} --metrics".to_owned(),
            });
        }
        let (command, environment) = (line.to_owned(), Vec::new());
        Ok(Self { command, environment, count, ready: READY, logs: logs.to_owned() })
    }
}

/// Engines that run. They end when this is dropped, and when this process ends in whatever way.
#[derive(Debug)]
pub struct Engines {
    running: Vec<Engine>,
}

#[derive(Debug)]
struct Engine {
    child: Child,
    address: Address,
    log: PathBuf,
}

impl Engines {
    /// Launches engines and waits until all answer; `stop` ends the waiting.
    ///
    /// # Errors
    /// When one can't be started, ends, or does not answer in time: with the end of what it printed.
    pub fn launch(plan: &Plan, stop: &AtomicBool) -> Result<Self, Error> {
        let ports = free_ports(plan.count).map_err(|source| Error::System { what: "find free ports", source })?;
        let mut engines = Self { running: Vec::new() };
        for (device, port) in ports.into_iter().enumerate() {
            let engine =
                start(plan, device, port).map_err(|source| Error::System { what: "start an engine", source })?;
            engines.running.push(engine);
        }
        let start = Instant::now();
        for engine in &mut engines.running {
            engine.ready(start, plan.ready, stop)?;
        }
        Ok(engines)
    }

    /// Where they listen.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.running.iter().map(|engine| &engine.address)
    }

    /// Process ids of those who watch over them; each leads the process group of its engine.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        self.running.iter().map(|engine| engine.child.id())
    }
}

fn start(plan: &Plan, device: usize, port: u16) -> io::Result<Engine> {
    let filled = |text: &str| text.replace("{port}", &port.to_string()).replace("{device}", &device.to_string());
    std::fs::create_dir_all(&plan.logs)?;
    let log = plan.logs.join(format!("engine-{device}.log"));
    let out = File::create(&log)?;
    let child = Command::new("sh")
        .args(["-c", SUPERVISOR, "engine", &GRACE_S.to_string(), &filled(&plan.command)])
        .envs(plan.environment.iter().map(|(name, value)| (name, filled(value))))
        .stdin(Stdio::piped())
        .stdout(out.try_clone()?)
        .stderr(out)
        .process_group(0)
        .spawn()?;
    Ok(Engine { child, address: Address::local(port), log })
}

/// Ports that are free now; all are held until the last is found, so that they differ.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<io::Result<_>>()?;
    held.iter().map(|listener| listener.local_addr().map(|address| address.port())).collect()
}

impl Engine {
    fn ready(&mut self, start: Instant, limit: Duration, stop: &AtomicBool) -> Result<(), Error> {
        while discover(&self.address).is_err() {
            if stop.load(Ordering::Relaxed) {
                return Err(self.failed("was stopped before it answered"));
            }
            if self.child.try_wait().ok().flatten().is_some() {
                return Err(self.failed("ended before it answered"));
            }
            if start.elapsed() > limit {
                return Err(self.failed(&format!("did not answer in {} s", limit.as_secs())));
            }
            sleep(POLL);
        }
        Ok(())
    }

    fn failed(&self, what: &str) -> Error {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(3).collect();
        let last = shortened(&lines.into_iter().rev().collect::<Vec<_>>().join(" | "));
        Error::Launch {
            what: format!("the engine at {} {what}; it printed: {last}", self.address),
            hint: format!("see {}", self.log.display()),
        }
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        // The end of the pipe ends each; all get their time at once.
        for engine in &mut self.running {
            drop(engine.child.stdin.take());
        }
        let until = Instant::now() + Duration::from_secs(GRACE_S + 2);
        for engine in &mut self.running {
            while engine.child.try_wait().is_ok_and(|status| status.is_none()) {
                if Instant::now() > until {
                    // Its watcher is stuck: nothing is left but to end that.
                    let _ = engine.child.kill();
                }
                sleep(POLL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_launched_is_refused_with_what_to_do() {
        let logs = Path::new("unused");
        let refusal = |plan: Result<Plan, Error>| plan.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refusal(Plan::vllm(None, 8, logs)).contains("VLLM_MODEL"));
        assert!(refusal(Plan::vllm(Some("m"), 1, logs)).contains("at least two devices"));
        assert!(refusal(Plan::command("llama-server", 2, logs)).contains("{port}"));
        assert!(Plan::vllm(Some("m"), 2, logs).is_ok_and(|plan| plan.count == 2));
    }
}
