"""Kills the primary of fresh pairs, one after the other, at random moments under load.

For each pair a client increments a counter on one connection while the primary is killed; the
connection must live on and the history stay linear.

  kill_primary.py PROGRAMS GUEST --count 50          SIGKILL
  kill_primary.py PROGRAMS GUEST --count 5 --stop    SIGSTOP, continued after the failover
  kill_primary.py PROGRAMS GUEST --mixed-engines     the replicas run different engines, and digests
                                                     are compared often
  kill_primary.py PROGRAMS GUEST --seed N            repeats one
"""

import argparse
import os
import random
import signal
import statistics
import sys
import time

from harness import PATIENT, Counter, Failure, Vm, connect_when_ready, require

MAX_DELAY_S = 1.0
CATCH_UP_TIMEOUT_S = 60
MAX_DEPTH = 16

# With mixed engines: a digest is taken after so many steps, instead of the product's 64 million.
DIGEST_STEPS = 4_000_000
MIN_DIGESTS = 20
MIXED_ENGINES = (("jit", "interpreter"), ("interpreter", "jit"))


def start(vm, engines):
    """The pair; `engines`, when given, are the two replicas'."""
    if engines is None:
        return vm.up()
    os.environ["LOCKSTEP_DIGEST_STEPS"] = str(DIGEST_STEPS)
    vm.up("--engine-a", engines[0], "--engine-b", engines[1])
    for node, engine in zip("ab", engines):
        name = vm.replica(node)["engine"]["name"]
        require(name == engine, f"replica {node} runs on {name}, not {engine}")
    return vm


def check_digests(vm):
    """Digests were taken, and the backup has passed them all without a difference."""
    primary = vm.replica("a")
    digests = primary["log"]["digest"]["entries"]
    require(digests >= MIN_DIGESTS, f"only {digests} digests in {primary['step']} steps")
    deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
    while True:
        backup = vm.replica("b")
        require(backup["state"] == "protected",
                f"the backup is {backup['state']}: {backup['divergence'] or backup['reason']}")
        if backup["step"] >= primary["step"]:
            return digests
        require(time.monotonic() < deadline, f"the backup is at step {backup['step']}, the primary "
                f"was at {primary['step']} {CATCH_UP_TIMEOUT_S} s ago")
        time.sleep(0.05)


def check_silence_of_the_woken(vm, counter):
    """A primary that slept through the failover emits nothing when it wakes, and halts."""
    before = vm.gateway()
    os.kill(vm.pid_of("a"), signal.SIGCONT)
    status = vm.await_state("a", "halted")
    counter.await_progress(50)
    after = vm.gateway()
    require(after["live_node"] == "b" and after["epoch"] == before["epoch"],
            f"the gateway serves {after['live_node']} in epoch {after['epoch']}")
    stale = after["frames_dropped_stale"] + after["console_bytes_dropped_stale"]
    require(stale == 0, f"the woken primary sent {stale} stale outputs")
    return status["reason"]


def one_failover(programs, guest, seed, stop, mixed_engines, keep):
    chance = random.Random(seed)
    depth = chance.choice([1, 1, 2, 4, MAX_DEPTH])
    delay_s = chance.uniform(0, MAX_DELAY_S)
    protection = "" if stop else PATIENT  # a stopped primary is noticed by its silence
    engines = MIXED_ENGINES[seed % len(MIXED_ENGINES)] if mixed_engines else None
    with Vm(programs, guest, keep, protection) as vm:
        start(vm, engines)
        counter = Counter(connect_when_ready(vm), depth)
        counter.start()
        counter.await_progress()
        digests = check_digests(vm) if engines else None
        time.sleep(delay_s)
        victim = vm.pid_of("a")
        counter.longest_pause_s = 0.0
        os.kill(victim, signal.SIGSTOP if stop else signal.SIGKILL)
        status = vm.await_state("b", "solo")
        counter.await_progress(50)
        woken = check_silence_of_the_woken(vm, counter) if stop else None
        value = counter.finish()
        gateway = vm.gateway()
        require(gateway["inputs_lost"] == 0, f"{gateway['inputs_lost']} inputs were lost")
        require(gateway["frame_gaps"] == 0, f"{gateway['frame_gaps']} frames are missing")
        blackout_ms = status["failovers"][-1]["blackout_ms"]
        print(f"seed {seed}: {value} increments in {depth}s, client's longest pause "
              f"{counter.longest_pause_s * 1e3:.0f} ms, blackout {blackout_ms:.0f} ms, "
              f"{gateway['frames_duplicate']} frames repeated and dropped, "
              f"{gateway['inputs_resent']} inputs sent again"
              + (f"; woken: {woken}" if woken else "")
              + (f"; {engines[0]} to {engines[1]}, {digests} digests" if engines else ""),
              flush=True)
        vm.down()
        return counter.longest_pause_s * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs")
    parser.add_argument("guest")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--stop", action="store_true", help="SIGSTOP instead of SIGKILL")
    parser.add_argument("--mixed-engines", action="store_true",
                        help="jit and interpreter, in turn as primary")
    parser.add_argument("--keep", action="store_true", help="leave the directories")
    options = parser.parse_args()
    seeds = ([options.seed] if options.seed is not None
             else range(options.first_seed, options.first_seed + options.count))
    pauses = []
    for seed in seeds:
        try:
            pauses.append(one_failover(options.programs, options.guest, seed, options.stop,
                                       options.mixed_engines, options.keep))
        except Failure as failure:
            flags = ((" --stop" if options.stop else "")
                     + (" --mixed-engines" if options.mixed_engines else ""))
            print(f"seed {seed}: {failure}\nrepeat: python3 {sys.argv[0]} {options.programs} "
                  f"{options.guest} --seed {seed}{flags}", flush=True)
            return 1
    print(f"{len(pauses)} failovers, 0 resets, 0 lost, 0 repeated; the client's longest pause: "
          f"median {statistics.median(pauses):.0f} ms, max {max(pauses):.0f} ms", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
