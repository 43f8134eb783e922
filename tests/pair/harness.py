"""A protected VM in a directory of its own, and a client that checks what it is told.

Everything a test makes lies below one temporary directory and is gone afterwards; ports are chosen
by the kernel, so tests run side by side.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

GUEST_READY_TIMEOUT_S = 180
# A machine that runs the tests may be busy for longer than the product's 100 ms; what a test is
# about is not how soon silence is noticed, unless it says so.
PATIENT = "suspect_after_ms = 1000\n"
REPLY_TIMEOUT_S = 30


class Failure(AssertionError):
    """A rule of the product does not hold; the text says which."""


def require(condition, text):
    if not condition:
        raise Failure(text)


class Vm:
    """One VM with its own state directory and a copy of the guest's disk."""

    def __init__(self, programs, guest, keep=False, protection=PATIENT):
        self.programs = Path(programs).absolute()
        self.guest = Path(guest).absolute()
        self.keep = keep
        self.protection = protection
        self.directory = Path(tempfile.mkdtemp(prefix="lockstep-pair-"))
        self.name = "redis"
        self.state = self.directory / "state"
        self.config = self.directory / "VM.toml"
        self.pids = set()

    def __enter__(self):
        subprocess.run(
            ["cp", "--sparse=always", "--reflink=auto", self.guest / "redis.img",
             self.directory / "redis.img"], check=True)
        self.write_config()
        return self

    def __exit__(self, kind, error, trace):
        try:
            for pid in self.running_pids():
                os.kill(pid, signal.SIGCONT)
            self.client("down", self.name, "--force", check=False)
        finally:
            for pid in self.running_pids():
                os.kill(pid, signal.SIGKILL)
            if error is not None:
                self.show_logs()
            if self.keep:
                print(f"kept: {self.directory}", flush=True)
            else:
                shutil.rmtree(self.directory, ignore_errors=True)

    def write_config(self, **changes):
        values = {
            "memory": "192M",
            "kernel": str(self.guest / "vmlinuz"),
            "initrd": str(self.guest / "initrd.img"),
            "disk": str(self.directory / "redis.img"),
            "forward": "tcp:127.0.0.1:0:6379",
            "arbiter": "dir:arbiter",
        }
        values.update(changes)
        cmdline = (self.guest / "cmdline").read_text().strip()
        self.config.write_text(
            f'name = "{self.name}"\n'
            f'memory = "{values["memory"]}"\n'
            f'kernel = "{values["kernel"]}"\n'
            f'initrd = "{values["initrd"]}"\n'
            f'cmdline = "{cmdline}"\n'
            f'[[disk]]\npath = "{values["disk"]}"\n'
            f'[[net]]\nmode = "user"\nforward = ["{values["forward"]}"]\n'
            f'[protection]\nbackups = 1\narbiter = "{values["arbiter"]}"\n{self.protection}')

    def client(self, *arguments, check=True, timeout=300):
        command = [str(self.programs / "lockstep"), "--state-dir", str(self.state), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                                stdin=subprocess.DEVNULL, check=False)
        if check and result.returncode != 0:
            raise Failure(f"{' '.join(arguments)} ended with {result.returncode}:\n"
                          f"{result.stdout}{result.stderr}")
        return result

    def up(self, *flags):
        self.client("up", str(self.config), *flags)
        for node in ("a", "b"):
            self.pid_of(node)
        return self

    def down(self):
        said = self.client("down", self.name).stdout
        require("powered off" in said, f"down did not power the guest off: {said}")

    def status(self):
        return json.loads(self.client("status", self.name, "--json").stdout)

    def replica(self, node):
        for replica in self.status()["replicas"]:
            if replica["node"] == node:
                return replica
        raise Failure(f"the status has no replica {node}")

    def pid_of(self, node):
        pid = self.replica(node)["pid"]
        self.pids.add(pid)
        return pid

    def gateway(self):
        details = self.status()["gateway"]["details"]
        return details

    def port(self):
        return int(self.gateway()["nics"][0]["forward"][0].split(":")[2])

    def running_pids(self):
        return [pid for pid in self.pids if is_program(pid, "lockstep-vmm")]

    def await_state(self, node, wanted, timeout_s=30):
        deadline = time.monotonic() + timeout_s
        while True:
            replica = self.replica(node)
            if replica["alive"] and replica["state"] == wanted:
                return replica
            if time.monotonic() > deadline:
                raise Failure(f"replica {node} is not {wanted} after {timeout_s} s: "
                              f"{replica['state']}, {replica['reason']}")
            time.sleep(0.05)

    def vm_directory(self):
        return self.state / self.name

    def console_log(self):
        path = self.vm_directory() / "gateway" / "console.log"
        return path.read_bytes().decode(errors="replace") if path.exists() else ""

    def show_logs(self):
        for log in sorted(self.vm_directory().glob("*/log.txt")):
            lines = log.read_text(errors="replace").splitlines()[-15:]
            print(f"--- {log.relative_to(self.directory)}", *lines, sep="\n  ", flush=True)
        print("--- console", *self.console_log().splitlines()[-8:], sep="\n  ", flush=True)


def is_program(pid, name):
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return False
    return Path(command).name == name and state != "Z"


class Redis:
    """One TCP connection to Redis, commands as inline text, replies as bytes without line ends."""

    def __init__(self, port, timeout_s=REPLY_TIMEOUT_S):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, line, count=1):
        self.socket.sendall(line.encode() + b"\r\n" if count == 1
                            else (line.encode() + b"\r\n") * count)

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Failure("the connection ended")
        if line[:1] == b"$":
            size = int(line[1:])
            return self.file.read(size + 2)[:-2] if size >= 0 else None
        if line[:1] == b"-":
            raise Failure(f"Redis answered an error: {line.decode().strip()}")
        return line[1:-2]

    def command(self, line):
        self.send(line)
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


def connect_when_ready(vm, timeout_s=GUEST_READY_TIMEOUT_S):
    """A connection to a Redis that answers. Before the guest listens, connections are reset."""
    port = vm.port()
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            redis = Redis(port, timeout_s=5)
            require(redis.command("PING") == b"PONG", "Redis does not answer PING with PONG")
            redis.socket.settimeout(REPLY_TIMEOUT_S)
            return redis
        except (OSError, Failure) as error:
            if time.monotonic() > deadline:
                raise Failure(f"Redis does not answer after {timeout_s} s: {error}") from error
            time.sleep(0.1)


class Counter(threading.Thread):
    """Increments one counter on one connection, `depth` commands at a time, until told to stop.

    The history must be linear: each reply is the one before plus one. An increment that was
    acknowledged and lost shows as a repeated number, one carried out twice as a gap.
    """

    def __init__(self, redis, depth=1):
        super().__init__(daemon=True)
        self.redis = redis
        self.depth = depth
        self.value = 0
        self.longest_pause_s = 0.0
        self.problem = None
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.round()
        except (OSError, Failure, ValueError) as error:
            self.problem = f"after {self.value} increments: {type(error).__name__}: {error}"

    def round(self):
        start = time.monotonic()
        self.redis.send("INCR counter", self.depth)
        for _ in range(self.depth):
            reply = int(self.redis.reply())
            require(reply == self.value + 1, f"{reply} came after {self.value}")
            self.value = reply
        self.longest_pause_s = max(self.longest_pause_s, time.monotonic() - start)

    def await_progress(self, count=20, timeout_s=REPLY_TIMEOUT_S):
        target = self.value + count
        deadline = time.monotonic() + timeout_s
        while self.value < target and self.problem is None:
            if time.monotonic() > deadline:
                raise Failure(f"the counter stands at {self.value} for {timeout_s} s")
            time.sleep(0.005)
        require(self.problem is None, self.problem)

    def finish(self):
        self.stopping.set()
        self.join(REPLY_TIMEOUT_S)
        require(not self.is_alive(), f"no reply for {REPLY_TIMEOUT_S} s at {self.value}")
        require(self.problem is None, self.problem)
        final = int(self.redis.command("GET counter"))
        require(final == self.value, f"Redis holds {final}, {self.value} were acknowledged")
        return self.value
