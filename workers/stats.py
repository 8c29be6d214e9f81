"""What the worker's machine has and how busy it is, read from /proc; in the shapes of Cube and goprocinfo."""

import os
import re
from pathlib import Path
from typing import Any

PROC = Path("/proc")
# Where a name's next word begins: MemTotal, SReclaimable, DirectMap4k.
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[A-Z][a-z])")
CPU = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


def capacities(data: Path, cpus: int, proc: Path = PROC) -> dict[str, str]:
    """What placement goes by, as labels: processors, bytes of memory, bytes of the disk that holds `data`."""
    disk = os.statvfs(data)
    memory = _memory(proc).get("mem_total", 0) << 10
    return {"cpus": str(cpus), "memory": str(memory), "disk": str(disk.f_blocks * disk.f_frsize)}


def stats(data: Path, tasks: int, proc: Path = PROC) -> dict[str, Any]:
    """The machine as it is now; memory in kB, disk in bytes, processors in ticks since it was started."""
    return {
        "MemStats": _memory(proc),
        "DiskStats": _disk(data),
        "CpuStats": _processors(proc),
        "LoadStats": _load(proc),
        "TaskCount": tasks,
    }


def _memory(proc: Path) -> dict[str, int]:
    """`MemTotal: 24 kB` → `"mem_total": 24`, `Active(anon)` → `active_anon`, as goprocinfo names them."""
    found: dict[str, int] = {}
    for line in (proc / "meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        found[_spelled(name)] = int(rest.split()[0])
    return found


def _spelled(name: str) -> str:
    return _WORDS.sub("_", name.replace("(", "_").replace(")", "")).lower()


def _disk(data: Path) -> dict[str, int]:
    disk = os.statvfs(data)
    total, free = disk.f_blocks * disk.f_frsize, disk.f_bfree * disk.f_frsize
    return {"all": total, "used": total - free, "free": free, "freeInodes": disk.f_ffree}


def _processors(proc: Path) -> dict[str, Any]:
    name, *ticks = (proc / "stat").read_text().partition("\n")[0].split()
    return {"id": name, **dict.fromkeys(CPU, 0), **dict(zip(CPU, map(int, ticks), strict=False))}


def _load(proc: Path) -> dict[str, Any]:
    last1, last5, last15, processes, last = (proc / "loadavg").read_text().split()
    running, total = processes.split("/")
    return {
        "last1min": float(last1),
        "last5min": float(last5),
        "last15min": float(last15),
        "process_running": int(running),
        "process_total": int(total),
        "last_pid": int(last),
    }
