"""What a reader must know beside the numbers: processor, system, compilers, the state of the repository."""
import datetime
import os
import pathlib
import platform
import subprocess

from setup import REPOSITORY


def _said(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()
    except OSError:
        return ""


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    model = fields.get("model name", platform.machine())
    details = [f"{name} {fields[name]}" for name in ("cpu family", "model") if name in fields]
    return f"{model} ({', '.join(details)})" if details else model


def _caches():
    """Sizes of the first core's data caches."""
    found = []
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind, level, size = ((index / name).read_text().strip() for name in ("type", "level", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return ", ".join(found)


def description():
    git = ("git", "-C", str(REPOSITORY))
    changed = _said(*git, "status", "--porcelain", "--untracked-files=no", "Sources", "Benchmarks")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "caches": _caches(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "swift": (_said("swift", "--version").splitlines() or [""])[0],
        "compiler": (_said("g++", "--version").splitlines() or [""])[0],
        "commit": _said(*git, "rev-parse", "--short", "HEAD") + (" with changes" if changed else ""),
        "load": os.getloadavg()[0],
    }
