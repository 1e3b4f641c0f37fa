"""Times and peak memory of things measured side by side in one run."""

import contextlib
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

MIB = 2**20
CPU = torch.device("cpu")
Found = TypeVar("Found")
os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # no word from the profiler but of errors


@dataclass(frozen=True)
class Time:
    """Seconds of several runs: the least, and the median."""

    least: float
    median: float


@dataclass(frozen=True)
class Run(Generic[Found]):
    """What a run found, and its seconds by the clock, its seconds on the processor, and its bytes at the peak."""

    figures: Found
    seconds: float
    cpu_seconds: float
    peak: int


def race(contestants: Mapping[str, Callable[[], object]], device: torch.device, repeats: int = 20) -> dict[str, Time]:
    """Run every contestant in turn, ``repeats`` times, so that what else the machine does falls on all alike."""
    for run in contestants.values():  # warm up
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            synchronise(device)
            start = time.perf_counter()
            run()
            synchronise(device)
            seconds[name].append(time.perf_counter() - start)
    return {name: Time(min(times), statistics.median(times)) for name, times in seconds.items()}


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(run: Callable[[], object], device: torch.device) -> int:
    """Bytes allocated at the peak of a run, beyond those allocated before it and those it leaves behind."""
    run()  # what is made once and kept, such as a library's workspace, is not of the run
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        peak, after = torch.cuda.max_memory_allocated(device), torch.cuda.memory_allocated(device)
        return peak - max(before, after)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    changes = [event for event in events if event.get("name") == "[memory]"]
    changes.sort(key=lambda event: event["ts"])
    now = peak = 0
    for change in changes:
        now += change["args"]["Bytes"]
        peak = max(peak, now)
    return peak - max(now, 0)


def status(key: str) -> int:
    """Bytes from this process's entry in /proc."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def alone(run: Callable[..., Found], *inputs: Any) -> Run[Found]:
    """Run in a copy of this process, so that no run sees another's traces."""

    def work(end: Connection) -> None:
        before, start, cpu = status("VmRSS"), time.perf_counter(), time.process_time()
        figures = run(*inputs)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
        end.send(Run(figures, seconds, cpu_seconds, status("VmHWM") - before))

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=work, args=(sender,))
    process.start()
    sender.close()
    with contextlib.closing(receiver):
        result: Run[Found] = receiver.recv()
    process.join()
    return result


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures were measured on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu()
    return {"device": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def save(file: Path | None, device: torch.device, packages: Sequence[str] = (), **figures: Any) -> None:
    """Print what the figures were measured on, with the versions of some packages, and write both to the file, if there
    is one."""
    about = {**machine(device), **{name: version(name) for name in packages}}
    print(about)
    if file:
        file.write_text(json.dumps({"machine": about, **figures}, indent=1) + "\n")


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
