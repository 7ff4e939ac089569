"""Running the steps of a check: each with a limit of its own, a log, and a verdict."""

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

from compare import FAILED, IMPOSSIBLE, OK

# What says that this machine does not let anybody read its counters, or has no such tool: no fault of proftool's.
REFUSED = ("ERR_NVGPUCTRPERM", "INSUFFICIENT_PRIVILEGES", "LibraryNotLoaded", "ERR_NVCMPGPU", "not supported on this device",
           "no permission", "Permission denied", "VIRTUALIZED_DEVICE")
# How proftool ends, and what it says, where a preset's profiler cannot be had.
MISSING, LACKS = 3, r"error: --profile \w+ needs "
# Between asking a step to end and ending it: proftool and ncu write what they have.
GRACE_S = 15


class Said:
    """How a command ended: its code (None past its limit), its output, its seconds."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    @property
    def ok(self):
        return self.code == 0

    def reason(self):
        """The last line that tells an error, else the last."""
        lines = [line.strip() for line in (self.err + "\n" + self.out).splitlines() if line.strip()]
        told = [line for line in lines if "error" in line.lower() or "==ERROR==" in line]
        return (told or lines or ["it said nothing"])[-1][:400]

    def refused(self):
        return next((word for word in REFUSED if word in self.err or word in self.out), None)


class Runner:
    """Runs steps until the time is used up, and remembers their verdicts."""

    def __init__(self, work, limit_s, skipped=()):
        self.work, self.deadline, self.steps = Path(work), time.monotonic() + limit_s, []
        self.skipped = tuple(skipped)
        self.logs = self.work / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        # Roofs and libraries that proftool keeps stay inside the work folder. The roofs are measured once, by the step `ceilings`:
        # where other load disturbs them, each capture would try again.
        self.env = {**os.environ, "XDG_CACHE_HOME": str(self.work / "cache"), "PROFTOOL_NO_CEILINGS": "1"}

    def left(self):
        return self.deadline - time.monotonic()

    def run(self, name, words, limit_s, env=None):
        """One command with its log `<name>.log`; its whole session is ended past the limit or the time that is left."""
        words = [str(word) for word in words]
        limit_s = min(limit_s, self.left())
        began = time.monotonic()
        if limit_s < 1:
            return self.log(name, words, Said(None, "", "no time was left for it", 0.0))
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.work,
                                       env={**self.env, **(env or {})}, start_new_session=True)
        except OSError as error:
            return self.log(name, words, Said(127, "", f"error: {words[0]}: {error.strerror}", 0.0))
        try:
            out, err = process.communicate(timeout=limit_s)
            code, told = process.returncode, ""
        except subprocess.TimeoutExpired:
            out, err = end(process)
            code, told = None, f"error: ended after {limit_s:.0f} s"
        except BaseException:
            # Interrupted: the command has a session of its own, which nobody else would end.
            end(process)
            raise
        text = [part.decode(errors="replace") for part in (out, err)]
        return self.log(name, words, Said(code, text[0], text[1] + told, time.monotonic() - began))

    def log(self, name, words, said):
        text = f"$ {shlex.join(words)}\n[ended with {said.code} after {said.seconds:.1f} s]\n--- stdout\n{said.out}\n--- stderr\n{said.err}\n"
        (self.logs / f"{name}.log").write_text(text)
        return said

    def note(self, name, verdict, reason="", seconds=0.0):
        self.steps.append({"step": name, "verdict": verdict, "reason": reason, "seconds": round(seconds, 1)})
        print(f"{verdict:22} {name}" + (f": {reason}" if reason else ""), flush=True)
        return verdict == OK

    def skips(self, name):
        """Whether the user left a step out, which is said."""
        skipped = any(name.startswith(start) for start in self.skipped)
        if skipped:
            self.note(name, IMPOSSIBLE, "left out by --skip")
        return skipped

    def step(self, name, words, limit_s, env=None, may_refuse=False, may_lack=False):
        """Runs and judges: ok, failed, or not possible here where the machine refuses what the step needs (`may_refuse`), or
        proftool says that a tool is missing (`may_lack`)."""
        if self.skips(name):
            return Said(None, "", "", 0.0)
        said = self.run(name, words, limit_s, env)
        if said.ok:
            self.note(name, OK, "", said.seconds)
        elif may_refuse and said.refused():
            self.note(name, IMPOSSIBLE, f"{said.refused()}: {said.reason()}", said.seconds)
        elif may_lack and said.code == MISSING and re.search(LACKS, said.err):
            self.note(name, IMPOSSIBLE, said.reason(), said.seconds)
        else:
            self.note(name, FAILED, f"exit code {said.code}: {said.reason()}", said.seconds)
        return said


def end(process):
    """Ends a step's session, politely first."""
    for signal_number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
        except ProcessLookupError:
            pass
        try:
            return process.communicate(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            continue
    return b"", b""
