"""A protected guest with Redis, one client that counts in it, and a primary killed meanwhile.

The client increments one counter over one TCP connection. Each reply must be exactly one more than
the reply before it: a reply that is missing, repeated or wrong is a lost acknowledgement.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

GUEST_READY_TIMEOUT_S = 300
REPLY_TIMEOUT_S = 20
COUNTER_KEY = b"lockstep-demo"


class DemoFailure(Exception):
    """The demonstration cannot go on; the text says why."""


def say(text):
    print(text, flush=True)


class Lockstep:
    """The command-line client, with the demonstration's own state directory."""

    def __init__(self, program, state_directory):
        self.program = str(program)
        self.state_directory = str(state_directory)

    def run(self, *arguments, capture=False):
        command = [self.program, "--state-dir", self.state_directory, *arguments]
        result = subprocess.run(
            command, stdout=subprocess.PIPE if capture else None, text=True, check=False
        )
        if result.returncode != 0:
            raise DemoFailure(f"`{' '.join(command)}` ended with code {result.returncode}")
        return result.stdout

    def status(self, vm):
        return json.loads(self.run("status", vm, "--json", capture=True))


class RedisConnection:
    """One TCP connection, requests and replies as lines (RESP inline commands)."""

    def __init__(self, port, timeout_s):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def command(self, *words):
        self.socket.sendall(b" ".join(words) + b"\r\n")
        while b"\r\n" not in self.received:
            part = self.socket.recv(4096)
            if not part:
                raise ConnectionResetError("the connection was closed by the other end")
            self.received += part
        line, self.received = self.received.split(b"\r\n", 1)
        return line

    def close(self):
        self.socket.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find_guest_configuration(guest):
    found = sorted(guest.glob("*.toml"))
    if not found:
        raise DemoFailure(f"the image build left no configuration (*.toml) in {guest}")
    return found[0]


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return json.dumps(value)


def write_toml(path, tables):
    lines = [f"{key} = {toml_value(value)}" for key, value in tables.items()
             if not isinstance(value, dict) and not is_table_array(value)]
    for key, value in tables.items():
        for header, table in table_sections(key, value):
            lines += ["", header] + [f"{name} = {toml_value(item)}" for name, item in table.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def is_table_array(value):
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def table_sections(key, value):
    if isinstance(value, dict):
        return [(f"[{key}]", value)]
    if is_table_array(value):
        return [(f"[[{key}]]", table) for table in value]
    return []


def prepare(guest, work, port):
    """A configuration of the demonstration's own: a copy of the disk, a free port."""
    source = find_guest_configuration(guest)
    tables = tomllib.loads(source.read_text(encoding="utf-8"))
    for key in ("kernel", "initrd"):
        if key in tables:
            tables[key] = str((guest / tables[key]).resolve())
    for disk in tables.get("disk", []):
        copy = work / Path(disk["path"]).name
        subprocess.run(
            ["cp", "--sparse=always", "--reflink=auto", guest / disk["path"], copy], check=True
        )
        disk["path"] = str(copy)
    tables["net"] = [{"mode": "user", "forward": [f"tcp:127.0.0.1:{port}:6379"]}]
    configuration = work / "demo.toml"
    write_toml(configuration, tables)
    return configuration, tables["name"]


def connect_when_ready(port):
    """The guest may still be booting: a connection counts once Redis answers on it."""
    deadline = time.monotonic() + GUEST_READY_TIMEOUT_S
    last = None
    while time.monotonic() < deadline:
        connection = None
        try:
            connection = RedisConnection(port, REPLY_TIMEOUT_S)
            if connection.command(b"PING") == b"+PONG":
                return connection
            last = "an answer that is not Redis's"
        except OSError as error:
            last = error
        if connection is not None:
            connection.close()
        time.sleep(0.2)
    raise DemoFailure(f"no Redis on port {port} after {GUEST_READY_TIMEOUT_S} s: {last}")


class Counter:
    """Increments as fast as the replies come; keeps when each came and how long it took."""

    def __init__(self, connection):
        self.connection = connection
        self.value = 0
        self.replies = []  # (when it came, latency), in seconds

    def reset(self):
        if self.connection.command(b"SET", COUNTER_KEY, b"0") != b"+OK":
            raise DemoFailure("Redis refused to set the counter to 0")

    def run_for(self, seconds):
        before = time.monotonic()
        end = before + seconds
        while before < end:
            reply = self.connection.command(b"INCR", COUNTER_KEY)
            after = time.monotonic()
            self.replies.append((after, after - before))
            before = after
            if reply != b":%d" % (self.value + 1):
                raise DemoFailure(
                    f"after the reply {self.value} came {reply.decode(errors='replace')!r} "
                    f"instead of ':{self.value + 1}': an acknowledged increment is lost or repeated"
                )
            self.value += 1


class Assassin(threading.Thread):
    """Kills the primary while the client counts, so that requests are on their way."""

    def __init__(self, lockstep, vm, delay_s):
        super().__init__()
        self.lockstep, self.vm, self.delay_s = lockstep, vm, delay_s
        self.victim, self.killed_at, self.failure = None, None, None

    def run(self):
        time.sleep(self.delay_s)
        try:
            status = self.lockstep.status(self.vm)
            if status["state"] != "protected":
                raise DemoFailure(f"the VM is {status['state']}, not protected: {status['reason']}")
            self.victim = primary_of(status)
            self.killed_at = time.monotonic()
            os.kill(self.victim["pid"], signal.SIGKILL)
            say(f"  killed the primary, node {self.victim['node']}, pid {self.victim['pid']}, "
                "with SIGKILL")
        except (DemoFailure, OSError) as error:
            self.failure = error


def describe(latencies_s):
    if not latencies_s:
        return "no increments"
    ordered = sorted(latencies_s)
    return (
        f"{len(ordered)} increments, median {ordered[len(ordered) // 2] * 1e3:.2f} ms, "
        f"longest {ordered[-1] * 1e3:.1f} ms"
    )


def primary_of(status):
    for replica in status["replicas"]:
        if replica["alive"] and replica["role"] in ("primary", "solo"):
            return replica
    raise DemoFailure(f"no live primary in the status: {json.dumps(status)}")


def count_across_a_kill(lockstep, vm, counter, seconds):
    """The latencies before and after the kill; the request that was on its way counts as after."""
    assassin = Assassin(lockstep, vm, seconds)
    assassin.start()
    try:
        counter.run_for(2 * seconds)
    finally:
        assassin.join()
    if assassin.failure is not None:
        raise DemoFailure(f"did not kill the primary: {assassin.failure}")
    before = [latency for when, latency in counter.replies if when < assassin.killed_at]
    after = [latency for when, latency in counter.replies if when >= assassin.killed_at]
    if not after:
        raise DemoFailure("no increment was acknowledged after the primary was killed")
    return assassin.victim, before, after


def demonstrate(lockstep, configuration, vm, port, seconds):
    lockstep.run("up", str(configuration))
    primary = primary_of(lockstep.status(vm))
    say(f"The pair runs: the primary is node {primary['node']}, pid {primary['pid']}, "
        f"state {primary['state']}.")
    say("Waiting until Redis answers in the guest ...")
    connection = connect_when_ready(port)
    counter = Counter(connection)
    counter.reset()
    say(f"One TCP connection to 127.0.0.1:{port}; counting for {2 * seconds:g} s ...")
    victim, before, after = count_across_a_kill(lockstep, vm, counter, seconds)
    say("  before the kill: " + describe(before))
    say("  after the kill:  " + describe(after))

    stored = connection.command(b"INCRBY", COUNTER_KEY, b"0")
    if stored != b":%d" % counter.value:
        raise DemoFailure(f"Redis holds {stored.decode()!r}, the client counted {counter.value}")
    connection.close()
    survivor = primary_of(lockstep.status(vm))
    if survivor["pid"] == victim["pid"]:
        raise DemoFailure("the status still names the killed process as the live one")
    say("")
    say("Summary")
    say(f"  increments acknowledged   {counter.value}, none lost, none repeated, one connection")
    say(f"  longest pause             {max(after) * 1e3:.0f} ms, over the failover")
    say(f"  live now                  node {survivor['node']}, pid {survivor['pid']}, "
        f"state {survivor['state']}: {survivor['reason']}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lockstep", required=True, type=Path, help="the lockstep program")
    parser.add_argument("--guest", default=Path("build/guest"), type=Path,
                        help="where the guest's image is built")
    parser.add_argument("--work", default=Path("build/demo"), type=Path,
                        help="the demonstration's own state and disk; emptied first")
    parser.add_argument("--seconds", default=3.0, type=float,
                        help="how long to count before and after the kill")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    guest, work = arguments.guest.resolve(), arguments.work.resolve()
    lockstep = Lockstep(arguments.lockstep.resolve(), work / "state")
    try:
        lockstep.run("image", "build", "--output", str(guest))
        if (work / "state").exists():
            lockstep.run("down", "--all", "--force")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        port = free_port()
        configuration, vm = prepare(guest, work, port)
        try:
            demonstrate(lockstep, configuration, vm, port, arguments.seconds)
        except (DemoFailure, OSError):
            lockstep.run("status", vm, "--json")  # while there is something to see
            raise
        finally:
            if (work / "state" / vm).exists():
                lockstep.run("down", vm, "--force")
    except (DemoFailure, OSError, subprocess.CalledProcessError) as error:
        print(f"demonstration failed: {error}", file=sys.stderr)
        print(f"logs of the VM's processes: {work}/state/*/*/log.txt", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
