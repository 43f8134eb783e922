"""What a pair of real processes does when things go wrong, one scenario a run.

  scenarios.py PROGRAMS GUEST NAME     runs one
  scenarios.py PROGRAMS GUEST --list   lists them
"""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from harness import Counter, Failure, Vm, connect_when_ready, is_program, require

PLANT = "LOCKSTEP_PLANT_UNLOGGED_INPUT"


def fails_with(vm, arguments, *texts):
    """The command fails, says all of the texts, and leaves no process behind."""
    result = vm.client(*arguments, check=False)
    said = result.stdout + result.stderr
    require(result.returncode != 0, f"{arguments} did not fail")
    for text in texts:
        require(text in said, f"{arguments} does not say '{text}':\n{said}")
    for pid_file in vm.state.glob("*/*/pid"):
        pid = int(pid_file.read_text().split()[0])
        require(not is_program(pid, "lockstep-vmm"), f"process {pid} was left behind")


def both_killed(vm):
    """Both replicas killed: up starts again from the newest disk, in a new epoch."""
    vm.up()
    redis = connect_when_ready(vm)
    # To the guest the end of both is a loss of power: what it acknowledged must be on its disk.
    require(redis.command("CONFIG SET appendfsync always") == b"OK", "CONFIG failed")
    require(redis.command("SET kept 4711") == b"OK", "SET failed")
    os.kill(vm.pid_of("a"), signal.SIGKILL)
    vm.await_state("b", "solo")
    require(redis.command("SET kept 4712") == b"OK", "SET failed after the failover")
    epoch = vm.gateway()["epoch"]
    os.kill(vm.pid_of("b"), signal.SIGKILL)
    time.sleep(0.2)
    vm.up()
    require(vm.gateway()["epoch"] > epoch, "the epoch did not grow")
    require(vm.gateway()["live_node"] == "b", "the stale disk of replica a was used")
    require(connect_when_ready(vm).command("GET kept") == b"4712", "an acknowledged write is lost")


def strangers(vm):
    """Strangers on the logging channel and the gateway: the pair goes on and can fail over."""
    vm.up()
    counter = Counter(connect_when_ready(vm))
    counter.start()
    connections = []
    for path in (vm.vm_directory() / "channel.sock", vm.vm_directory() / "gateway/gateway.sock"):
        for talk in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 64, b"\x04\0\0\0\x01abc"):
            stranger = socket.socket(socket.AF_UNIX)
            stranger.connect(os.path.relpath(path))
            stranger.sendall(talk)
            connections.append(stranger)
    counter.await_progress(100)
    require(vm.replica("a")["state"] == "protected", "the pair did not stay protected")
    os.kill(vm.pid_of("a"), signal.SIGKILL)
    vm.await_state("b", "solo")
    counter.await_progress(100)
    counter.finish()
    for stranger in connections:
        stranger.close()


def arbiter_gone(vm):
    """No arbiter: a protected pair goes on; a survivor waits with its gate shut, then goes on."""
    vm.up()
    arbiter = vm.vm_directory() / "arbiter"
    hidden = vm.directory / "arbiter-elsewhere"
    counter = Counter(connect_when_ready(vm))
    counter.start()
    arbiter.rename(hidden)
    counter.await_progress(100)
    os.kill(vm.pid_of("a"), signal.SIGKILL)
    status = vm.await_state("b", "waiting-for-arbiter")
    require("arbiter" in status["reason"], f"the reason does not say why: {status['reason']}")
    time.sleep(0.5)
    stopped_at = counter.value
    time.sleep(0.5)
    require(counter.value == stopped_at, "an output left before the epoch was won")
    hidden.rename(arbiter)
    vm.await_state("b", "solo")
    counter.await_progress(100)
    counter.finish()


def operator_failover(vm):
    """`lockstep failover`: the backup takes over, the old primary halts, the client goes on."""
    vm.up()
    counter = Counter(connect_when_ready(vm))
    counter.start()
    counter.await_progress()
    vm.client("failover", vm.name)
    vm.await_state("b", "solo")
    vm.await_state("a", "halted")
    counter.await_progress(100)
    counter.finish()


def backup_killed(vm):
    """The backup killed: the primary wins the next epoch and goes on alone."""
    vm.up()
    counter = Counter(connect_when_ready(vm))
    counter.start()
    counter.await_progress()
    os.kill(vm.pid_of("b"), signal.SIGKILL)
    vm.await_state("a", "solo")
    counter.await_progress(100)
    counter.finish()


def type_on_console(vm, line):
    console = socket.socket(socket.AF_UNIX)
    console.connect(os.path.relpath(vm.vm_directory() / "gateway/console.sock"))
    console.sendall(b"\n" + line.encode() + b"\n")
    return console


def await_console(vm, text, times, timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while vm.console_log().count(text) < times:
        require(time.monotonic() < deadline, f"the guest did not say '{text}' {times} times")
        time.sleep(0.1)


def guest_power_off(vm):
    """The guest powers itself off: both replicas end, nobody fails over."""
    vm.up()
    connect_when_ready(vm)
    pids = [vm.pid_of("a"), vm.pid_of("b")]
    console = type_on_console(vm, "poweroff -f")
    deadline = time.monotonic() + 60
    while any(is_program(pid, "lockstep-vmm") for pid in pids):
        require(time.monotonic() < deadline, "the replicas did not end")
        time.sleep(0.1)
    log = (vm.vm_directory() / "replica-b/log.txt").read_text()
    require("failing-over" not in log, "the backup took a power-off for a failure")
    require("-> off" in log, "the backup does not say that the VM is off")
    console.close()


def guest_restart(vm):
    """The guest restarts: both replicas from the files of the start, or, once changed, neither."""
    kernel = vm.directory / "vmlinuz"
    shutil.copyfile(vm.guest / "vmlinuz", kernel)
    vm.write_config(kernel=str(kernel))
    vm.up()
    connect_when_ready(vm).close()
    # A new kernel in the old one's place, as a package manager puts it, is for the next start.
    replacement = vm.directory / "vmlinuz.new"
    shutil.copyfile(kernel, replacement)
    with open(replacement, "r+b") as file:
        file.seek(1_000_000)
        file.write(b"changed")
    held = vm.directory / "vmlinuz.held"
    os.link(kernel, held)
    replacement.rename(kernel)
    await_console(vm, "lockstep-guest ready", 1)
    console = type_on_console(vm, "reboot -f")
    await_console(vm, "lockstep-guest ready", 2)
    counter = Counter(connect_when_ready(vm))
    counter.start()
    counter.await_progress(100)
    for node in ("a", "b"):
        require(vm.replica(node)["state"] == "protected", f"{node} did not follow the restart")
    counter.finish()
    console.close()

    with open(held, "r+b") as file:
        file.seek(1_000_000)
        file.write(b"changed")
    console = type_on_console(vm, "reboot -f")
    for node in ("a", "b"):
        reason = vm.await_state(node, "halted")["reason"]
        require(all(part in reason for part in ("cannot restart", "vmlinuz", "start the VM anew")),
                f"replica {node} does not say why it halted: {reason}")
    console.close()


def divergence(vm):
    """An input that was not logged: the backup stops at the next digest, the primary goes on."""
    os.environ[PLANT] = "200000000"
    try:
        vm.up()
    finally:
        del os.environ[PLANT]
    counter = Counter(connect_when_ready(vm))
    counter.start()
    vm.await_state("b", "diverged", 60)
    report = vm.replica("b")["divergence"]
    require(report and "digest" in report, f"the report does not name the digest: {report}")
    vm.await_state("a", "solo")
    counter.await_progress(100)
    counter.finish()


def errors(vm):
    """What is wrong is said before anything starts, with the object and what to do."""
    directory = vm.directory
    vm.write_config(kernel=str(directory / "no-kernel"))
    fails_with(vm, ["up", str(vm.config)], "no-kernel", "kernel")

    truncated = directory / "truncated-kernel"
    truncated.write_bytes((vm.guest / "vmlinuz").read_bytes()[:100_000])
    vm.write_config(kernel=str(truncated))
    fails_with(vm, ["up", str(vm.config)], "truncated-kernel")

    odd = directory / "odd.img"
    odd.write_bytes(b"x" * 1000)
    vm.write_config(disk=str(odd))
    fails_with(vm, ["up", str(vm.config)], "odd.img", "512")

    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    vm.write_config(forward=f"tcp:127.0.0.1:{port}:6379")
    fails_with(vm, ["up", str(vm.config)], str(port))
    taken.close()

    vm.write_config()
    vm.config.write_text(vm.config.read_text().replace("memory =", "memmory ="))
    fails_with(vm, ["up", str(vm.config)], "memmory", "memory", "VM.toml:2")
    vm.write_config()

    vm.up()
    with Vm(vm.programs, vm.guest) as other:
        other.write_config(disk=str(directory / "redis.img"))
        fails_with(other, ["up", str(other.config)], "redis.img", "another VM uses")
    connect_when_ready(vm).close()


def record(vm, recording, *flags, restart=False):
    """Records a boot with network and disk traffic, until the guest is powered off."""
    command = [str(vm.programs / "lockstep"), "--state-dir", str(vm.state), "record",
               str(vm.config), str(recording), *flags]
    with open(vm.directory / "record.txt", "wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output)
    deadline = time.monotonic() + 60
    while not (vm.vm_directory() / "gateway/status.sock").exists():
        require(process.poll() is None, (vm.directory / "record.txt").read_text())
        require(time.monotonic() < deadline, "the gateway did not start")
        time.sleep(0.1)
    redis = connect_when_ready(vm)
    for i in range(300):
        redis.command(f"SET key{i} {'v' * (10 * i + 1)}")
        require(redis.command("INCR counter") == str(i + 1).encode(), "INCR failed")
    require(redis.command("SAVE") == b"OK", "SAVE failed")
    redis.close()
    if restart:
        await_console(vm, "lockstep-guest ready", 1)
        console = type_on_console(vm, "reboot -f")
        await_console(vm, "lockstep-guest ready", 2)
        console.close()
    vm.down()
    require(process.wait(60) == 0, (vm.directory / "record.txt").read_text())


def replay_figures(text):
    figures = dict(re.findall(r"^(steps|digests|mismatches|outputs) +(\d+)", text, re.MULTILINE))
    return {name: int(value) for name, value in figures.items()}


def record_and_replay(vm):
    """A recorded boot and restart replay without a mismatch on either engine; damage is refused."""
    recording = vm.directory / "run.lslog"
    record(vm, recording, restart=True)
    result = vm.client("replay", str(recording), timeout=600)
    figures = replay_figures(result.stdout)
    print(result.stdout, flush=True)
    require(figures["mismatches"] == 0 and figures["digests"] >= 5, str(figures))
    require(figures["steps"] > 300_000_000, "the recording is too short to be a boot")
    require("by jit" in result.stdout, "the replay was not by the jit")
    result = vm.client("replay", str(recording), "--engine", "interpreter", timeout=600)
    require("by interpreter" in result.stdout, "the replay was not by the interpreter")
    require(replay_figures(result.stdout) == figures, result.stdout)

    damaged = vm.directory / "damaged.lslog"
    content = bytearray(recording.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    result = vm.client("replay", str(damaged), check=False, timeout=600)
    said = result.stdout + result.stderr
    require(result.returncode != 0 and "offset" in said and "frame" in said, said)
    require(replay_figures(result.stdout)["steps"] > 0, "what precedes the damage did not replay")


def audit(vm, engine):
    recording = vm.directory / "run.lslog"
    record(vm, recording, "--engine", engine)
    result = subprocess.run([str(vm.programs / "lockstep-audit"), "boot", str(recording)],
                            capture_output=True, text=True, timeout=900)
    print(f"recorded on {engine}: {result.stdout}", end="", flush=True)
    require(result.returncode == 0, result.stdout + result.stderr)
    found = re.match(r"(\d+) steps, .* (\d+) comparisons, 0 mismatches", result.stdout)
    require(found is not None and int(found.group(1)) > 300_000_000 and int(found.group(2)) > 300,
            result.stdout)


def audit_of_jit(vm):
    """A boot that the translator recorded is the same on both engines, side by side, to the end."""
    audit(vm, "jit")


def audit_of_interpreter(vm):
    """The same, recorded on the interpreter."""
    audit(vm, "interpreter")


def planted_nondeterminism(vm):
    """An input that was not logged is caught at the first digest after it."""
    recording = vm.directory / "planted.lslog"
    planted_at = 150_000_000
    os.environ[PLANT] = str(planted_at)
    try:
        record(vm, recording)
    finally:
        del os.environ[PLANT]
    result = vm.client("replay", str(recording), check=False, timeout=600)
    said = result.stdout + result.stderr
    require(result.returncode != 0 and replay_figures(result.stdout)["mismatches"] == 1, said)
    step = int(re.search(r"^steps +(\d+)", result.stdout, re.MULTILINE).group(1))
    digest_steps = 64_000_000
    require(planted_at <= step <= planted_at + digest_steps + 1_000_000,
            f"planted at {planted_at}, caught at {step}")
    print(f"planted at step {planted_at}, caught at step {step}", flush=True)


SCENARIOS = {function.__name__: function for function in (
    both_killed, strangers, arbiter_gone, operator_failover, backup_killed, guest_power_off,
    guest_restart, divergence, errors, record_and_replay, audit_of_interpreter, audit_of_jit,
    planted_nondeterminism)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs")
    parser.add_argument("guest")
    parser.add_argument("name", nargs="?", choices=sorted(SCENARIOS))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the directory")
    options = parser.parse_args()
    if options.list or options.name is None:
        print(*sorted(SCENARIOS), sep="\n")
        return 0
    start = time.monotonic()
    try:
        with Vm(options.programs, options.guest, options.keep) as vm:
            SCENARIOS[options.name](vm)
    except Failure as failure:
        print(f"{options.name}: {failure}\nrepeat: python3 {sys.argv[0]} {options.programs} "
              f"{options.guest} {options.name}", flush=True)
        return 1
    print(f"{options.name}: ok, {time.monotonic() - start:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
