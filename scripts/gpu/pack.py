"""The result folder: small, flat, and without what tells the machine or the person."""

import getpass
import io
import json
import os
import platform
import re
import socket
import tarfile
from pathlib import Path

# Profilers' own files that hold the environment, the host's name or the list of processes, and cannot be cleaned.
LEFT_OUT = (".ncu-rep", ".nsys-rep", ".qdrep", ".qdstrm", ".sqlite", ".so")
TEXT = (".json", ".jsonl", ".txt", ".log", ".csv", ".md", ".svg", ".html", ".toml")
# Of one file before it is packed, and of the archive: together under 16 MiB with what lies beside it.
LARGEST_FILE, LARGEST_ARCHIVE = 6 << 20, 9 << 20
DROPPED_KEYS = ("environment", "environment_removed", "hostname", "process_list")


def secrets(work, **places):
    """What has to disappear from texts, with what stands for it; the longest first. `places` are further folders by name."""
    words = {str(work): "WORK", **{str(path): name.upper() for name, path in places.items()}, str(Path.home()): "~", socket.gethostname(): "HOST", platform.node(): "HOST",
             platform.release(): (re.match(r"\d[\d.]*", platform.release()) or ["KERNEL"])[0]}
    try:
        words[getpass.getuser()] = "USER"
    except (KeyError, OSError):
        pass
    # A short or general word stands in many texts that mean something else.
    general = ("root", "user", "localhost", "host")
    return sorted(((word, by) for word, by in words.items() if len(word) > 3 and word.lower() not in general),
                  key=lambda pair: -len(pair[0]))


def without(value):
    """JSON without the keys that hold an environment or a host."""
    if isinstance(value, dict):
        return {key: without(part) for key, part in value.items() if key not in DROPPED_KEYS}
    return [without(part) for part in value] if isinstance(value, list) else value


def clean(name, text, words):
    """A text without what has to disappear; in pages of ncu the column of the host's name is emptied too."""
    if name.endswith(".json"):
        try:
            text = json.dumps(without(json.loads(text)), indent=1)
        except ValueError:
            pass
    for word, by in words:
        text = text.replace(word, by)
    if name.endswith((".csv", ".log")) and '"Host Name"' in text:
        # The fourth of the identifying columns, of which the first is a number.
        text = re.sub(r'^("\d*","[^"]*","[^"]*",)"[^"]*"', r'\1""', text, flags=re.MULTILINE)
    return text


def pack(work, archive, folders, words):
    """Packs these folders of `work`, texts without `words`; returns the paths that were left out, each with the reason."""
    left_out = []
    with tarfile.open(archive, "w:gz") as tar:
        # The folders in their order: the last ones are left out where the archive gets full.
        for path in (path for folder in folders for path in sorted((work / folder).rglob("*")) if path.is_file() and not path.is_symlink()):
            name = str(path.relative_to(work))
            if path.name.endswith(LEFT_OUT) or re.search(r"\.so(\.\d+)*$", path.name):
                left_out.append(f"{name}: holds what tells the machine, or a library")
                continue
            data = path.read_bytes()
            if path.suffix in TEXT:
                data = clean(path.name, data.decode(errors="replace"), words).encode()
            if len(data) > LARGEST_FILE:
                left_out.append(f"{name}: {len(data)} bytes")
                continue
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
            if os.path.getsize(archive) > LARGEST_ARCHIVE:
                left_out.append("whatever comes after it: the archive is full")
                break
    return left_out
