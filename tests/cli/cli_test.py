"""The client with real processes: the real gateway, and a stand-in for lockstep-vmm.

usage: cli_test.py DIRECTORY [unittest arguments]; DIRECTORY holds lockstep and its programs.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PROGRAMS = Path(sys.argv.pop(1)).resolve()
TIMEOUT_S = 60


def process_exists(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, what):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out waiting for {what}")
        time.sleep(0.02)


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="lockstep-cli-"))
        self.state = self.directory / "state"
        (self.directory / "kernel").write_bytes(b"kernel")
        (self.directory / "disk.img").write_bytes(b"original" + bytes(1024 - 8))
        self.write_config()

    def tearDown(self):
        subprocess.run([PROGRAMS / "lockstep", "--state-dir", self.state, "down", "--all",
                        "--force"], capture_output=True, timeout=TIMEOUT_S, check=False)
        shutil.rmtree(self.directory)

    def write_config(self, cmdline="", protection=""):
        (self.directory / "vm.toml").write_text(
            f'name = "vm"\nmemory = "64M"\nkernel = "kernel"\ncmdline = "{cmdline}"\n'
            '[[disk]]\npath = "disk.img"\n'
            '[[net]]\nforward = ["tcp:127.0.0.1:0:80"]\n'
            f"[protection]\nstart_wait_ms = 500\n{protection}\n", encoding="ascii")

    def lockstep(self, *arguments, code=0, stdin=subprocess.DEVNULL):
        result = subprocess.run(
            [PROGRAMS / "lockstep", "--state-dir", self.state, *arguments], stdin=stdin,
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        self.assertEqual(result.returncode, code,
                         f"{arguments}\n{result.stdout}\n{result.stderr}")
        return result

    def up(self, *flags, code=0):
        return self.lockstep("up", str(self.directory / "vm.toml"), *flags, code=code)

    def status(self):
        return json.loads(self.lockstep("status", "vm", "--json").stdout)

    def engines(self):
        return [r["engine"]["name"] for r in self.status()["replicas"]]

    def replica(self, node):
        return next(r for r in self.status()["replicas"] if r["node"] == node)

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not process_exists(pid), "the end of a killed process")

    def disk(self, node):
        path = (self.directory / "disk.img" if node == "a"
                else self.state / "vm/replica-b/disk0.img")
        return path.read_bytes()[:8]

    def assert_nothing_left(self):
        status = self.status()
        self.assertEqual(status["replicas"], [])
        self.assertFalse(status["gateway"]["alive"])
        left = [str(path) for path in self.state.rglob("*")
                if path.is_socket() or path.name == "pid"]
        self.assertEqual(left, [])

    def pids(self):
        status = self.status()
        return [r["pid"] for r in status["replicas"]] + [status["gateway"]["pid"]]


class UpAndDown(ClientTest):
    def test_a_protected_pair(self):
        shown = self.up().stdout
        self.assertIn("vm: protected", shown)
        status = self.status()
        self.assertEqual(status["state"], "protected")
        self.assertEqual([(r["node"], r["role"], r["alive"]) for r in status["replicas"]],
                         [("a", "primary", True), ("b", "backup", True)])
        self.assertTrue(status["gateway"]["alive"])
        self.assertEqual(status["gateway"]["details"]["vm"], "vm")
        self.assertRegex(self.lockstep("list").stdout, r"vm +protected")
        pids = self.pids()
        self.assertIn("powered off", self.lockstep("down", "vm").stdout)
        for pid in pids:
            self.assertFalse(process_exists(pid))
        self.assert_nothing_left()
        self.assertRegex(self.lockstep("list").stdout, r"vm +off")

    def test_down_twice_and_up_again(self):
        self.up()
        self.lockstep("down", "vm")
        self.assertIn("was not up", self.lockstep("down", "vm").stdout)
        self.up()
        self.assertEqual(self.status()["state"], "protected")

    def test_a_vm_that_is_up_is_not_started_again(self):
        self.up()
        before = self.pids()
        refused = self.up(code=4)
        for replica in self.status()["replicas"]:
            self.assertIn(f"replica {replica['node']} is process {replica['pid']}", refused.stderr)
        self.assertIn("`lockstep down vm`", refused.stderr)
        self.assertEqual(self.pids(), before)

    def test_without_backup(self):
        self.write_config(protection="backups = 0")
        self.up()
        status = self.status()
        self.assertEqual(status["state"], "solo")
        self.assertEqual(len(status["replicas"]), 1)

    def test_the_engines_of_a_pair(self):
        self.up()
        self.assertEqual(self.engines(), ["jit", "jit"])
        self.lockstep("down", "vm")
        self.write_config(protection='engine_b = "interpreter"')
        self.up()
        self.assertEqual(self.engines(), ["jit", "interpreter"])
        self.lockstep("down", "vm")
        self.up("--engine", "jit", "--engine-a", "interpreter")
        self.assertEqual(self.engines(), ["interpreter", "jit"])

    def test_force(self):
        self.up()
        pids = self.pids()
        self.assertIn("stopped", self.lockstep("down", "vm", "--force").stdout)
        for pid in pids:
            self.assertFalse(process_exists(pid))
        self.assert_nothing_left()

    def test_stubborn_processes_are_killed(self):
        self.write_config(cmdline="fake:stubborn")
        self.up()
        pids = self.pids()
        self.lockstep("down", "vm", "--force")
        for pid in pids:
            self.assertFalse(process_exists(pid))

    def test_deep_state_directory(self):
        self.state = self.directory / ("d" * 90) / ("e" * 90)
        self.up()
        self.assertEqual(self.status()["state"], "protected")
        self.lockstep("down", "vm")
        self.assert_nothing_left()


class Failover(ClientTest):
    def fail_over(self):
        self.up()
        primary = self.replica("a")["pid"]
        self.kill(primary)
        wait_for(lambda: self.replica("b")["role"] == "primary", "the failover")
        return primary

    def test_a_dead_replica_is_shown_as_gone(self):
        primary = self.fail_over()
        status = self.status()
        self.assertEqual(status["state"], "solo")
        gone = status["replicas"][0]
        self.assertEqual((gone["alive"], gone["state"], gone["pid"]), (False, "gone", primary))
        self.assertIn(f"process {primary} is gone", gone["reason"])
        self.assertIn("replica a  gone", self.lockstep("status", "vm").stdout)
        self.assertEqual(self.up(code=4).stdout, "")

    def test_the_newest_disk_is_the_primarys_after_a_failover(self):
        self.fail_over()
        self.assertEqual(self.disk("b"), b"b 2\ninal")
        self.assertEqual(self.disk("a"), b"a 1\ninal")
        self.lockstep("down", "vm")
        self.assertIn("copying disk 0 of node b to node a", self.up().stdout)
        self.assertEqual(self.replica("b")["role"], "primary")
        self.assertEqual(self.replica("b")["epoch"], 3)
        self.assertEqual(self.replica("a")["role"], "backup")
        self.assertEqual(self.disk("a"), b"b 2\ninal")

    def test_both_killed(self):
        self.up()
        for pid in self.pids():
            self.kill(pid)
        self.assertEqual(self.status()["state"], "gone")
        self.up()
        self.assertEqual(self.status()["state"], "protected")

    def test_gateway_left_over(self):
        self.up()
        old = self.pids()
        for pid in old[:2][::-1]:
            self.kill(pid)
        self.up()
        self.assertFalse(process_exists(old[2]), "the old gateway was stopped")
        self.assertEqual(self.status()["state"], "protected")


class FailedStarts(ClientTest):
    def test_a_replica_that_ends(self):
        self.write_config(cmdline="fake:exit-backup")
        failed = self.up(code=7)
        self.assertIn("replica b ended while it was starting", failed.stderr)
        self.assertIn("cannot open the disk image: planted", failed.stderr)
        self.assert_nothing_left()

    def test_a_primary_that_goes_solo(self):
        self.write_config(cmdline="fake:solo")
        failed = self.up(code=7)
        self.assertIn("cannot protect vm: replica a is solo: as a fake", failed.stderr)
        self.assert_nothing_left()

    def test_interrupted(self):
        self.write_config(cmdline="fake:silent")
        client = subprocess.Popen(
            [PROGRAMS / "lockstep", "--state-dir", self.state, "up", self.directory / "vm.toml"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: (self.state / "vm/replica-a/api.sock").exists(), "the primary")
        client.send_signal(signal.SIGTERM)
        _, errors = client.communicate(timeout=TIMEOUT_S)
        self.assertIn("interrupted while starting vm", errors)
        self.assert_nothing_left()

    def test_everything_is_checked_before_anything_starts(self):
        (self.directory / "kernel").unlink()
        (self.directory / "disk.img").write_bytes(b"odd")
        failed = self.up(code=3)
        self.assertIn("cannot read the kernel", failed.stderr)
        self.assertIn("not a positive multiple of 512", failed.stderr)
        self.assertFalse((self.state / "vm/replica-a").exists())

    def test_a_taken_port(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            text = (self.directory / "vm.toml").read_text(encoding="ascii")
            text = text.replace("127.0.0.1:0:", f"127.0.0.1:{port}:")
            (self.directory / "vm.toml").write_text(text, encoding="ascii")
            failed = self.up(code=4)
        self.assertIn(f"cannot take TCP port {port} of 127.0.0.1", failed.stderr)

    def test_a_bad_configuration(self):
        (self.directory / "vm.toml").write_text('nam = "vm"\nkernel = 1\n', encoding="ascii")
        failed = self.up(code=2)
        self.assertIn("vm.toml:1:1: nam: unknown key; did you mean name?", failed.stderr)
        self.assertIn("vm.toml:2:10: kernel: must be a text", failed.stderr)


class Foreground(ClientTest):
    def test_run_until_the_guest_ends(self):
        self.write_config(cmdline="fake:exit-soon")
        self.lockstep("run", str(self.directory / "vm.toml"))
        self.assert_nothing_left()
        self.assertEqual(self.disk("a"), b"a 1\ninal")

    def test_run_until_interrupted(self):
        client = subprocess.Popen(
            [PROGRAMS / "lockstep", "--state-dir", self.state, "run", self.directory / "vm.toml",
             "--engine", "interpreter"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: (self.state / "vm/replica-a/api.sock").exists(), "the replica")
        self.assertEqual(self.engines(), ["interpreter"])
        self.assertIn("already up: vm", self.up(code=4).stderr)
        client.send_signal(signal.SIGINT)
        _, errors = client.communicate(timeout=TIMEOUT_S)
        self.assertEqual(client.returncode, 0, errors)
        self.assertIn("stopping vm", errors)
        self.assert_nothing_left()

    def test_replay_of_what_is_not_there(self):
        failed = self.lockstep("replay", str(self.directory / "none"), code=3)
        self.assertIn("cannot read the recording", failed.stderr)


class Looking(ClientTest):
    def test_unknown_vm(self):
        for command in (["status", "web"], ["down", "web"], ["console", "web"], ["events", "web"]):
            failed = self.lockstep(*command, code=3)
            self.assertIn("no VM is called web", failed.stderr)
            self.assertEqual(failed.stdout, "")

    def test_console_shows_and_ends_with_the_gateway(self):
        self.up()
        gateway = self.status()["gateway"]["pid"]
        console = subprocess.Popen(
            [PROGRAMS / "lockstep", "--state-dir", self.state, "console", "vm"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: self.status()["gateway"]["details"]["console_clients"] == 1, "the console")
        os.kill(gateway, signal.SIGTERM)
        _, errors = console.communicate(timeout=TIMEOUT_S)
        self.assertEqual(console.returncode, 0)
        self.assertIn("gateway closed the console", errors)

    def test_events_and_failover(self):
        self.up()
        self.assertIn("started", self.lockstep("events", "vm").stdout)
        self.assertIn("cannot fail over", self.lockstep("failover", "vm", code=7).stderr)
        self.lockstep("down", "vm")
        self.assertIn("not up: vm", self.lockstep("events", "vm", code=7).stderr)

    def test_status_of_all(self):
        self.assertIn("no VM in", self.lockstep("status").stdout)
        self.assertEqual(json.loads(self.lockstep("status", "--json").stdout), [])
        self.up()
        self.assertEqual([vm["name"] for vm in
                          json.loads(self.lockstep("status", "--json").stdout)], ["vm"])

    def test_config_check(self):
        file = str(self.directory / "vm.toml")
        self.assertIn('memory = "64M"', self.lockstep("config", "check", file).stdout)
        (self.directory / "kernel").unlink()
        self.lockstep("config", "check", file)
        self.assertIn("cannot read the kernel",
                      self.lockstep("config", "check", file, "--host", code=3).stderr)

    def test_version_and_usage(self):
        self.assertRegex(self.lockstep("version").stdout, r"^lockstep \d+\.\d+\.\d+$")
        self.assertIn("A subcommand is required", self.lockstep(code=2).stderr)


if __name__ == "__main__":
    unittest.main()
