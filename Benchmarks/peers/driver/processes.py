"""Peers as long-lived processes, pinned to their cores, asked one line at a time."""
import json
import os
import select
import subprocess
import time


class PeerFailure(Exception):
    """A sentence: what a peer did that it must not."""


class Peer:
    """One process that answers requests. `key` is its name in options and raw data."""

    # Seconds: long enough to build and warm up the largest row in the slowest peer. One that hangs must not hold a
    # campaign.
    patience = 300

    def __init__(self, key, command, environment, cores):
        self.key, self.command, self.cores = key, command, cores
        self.environment = os.environ | environment
        self.process = None

    def ask(self, row, seconds, digests=False):
        """The answer as a dictionary: of times, or with `unsupported`."""
        return self._answer(json.dumps(row.request(seconds, digests)), row, ("ms_min", "unsupported"))

    def _answer(self, line, row, expected):
        """The answer to a line, which must have one of the fields expected. After any other, the process is not asked
        again: it may be out of step."""
        text = self._exchange(line)
        try:
            answer = json.loads(text)
        except json.JSONDecodeError:
            answer = {}
        if not isinstance(answer, dict) or not any(field in answer for field in expected):
            self.stop()
            said = answer.get("error") if isinstance(answer, dict) else None
            raise PeerFailure(f"{self.key} answered {row.name} with {said or text.strip()[:200]}")
        return answer

    def _exchange(self, line):
        if self.process is None:
            self._start()
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._ended(line) from None
        end, answer = time.monotonic() + self.patience, b""
        while not answer.endswith(b"\n"):
            readable, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            if not readable:
                self.stop()
                raise PeerFailure(f"{self.key} gave no answer in {self.patience} s to {line}")
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                raise self._ended(line)
            answer += piece
        return answer.decode()

    def _start(self):
        cores = self.cores
        try:
            # A session of its own: Ctrl-C is for the driver, which then ends its peers by closing their input.
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, cores))
        except OSError as error:
            raise PeerFailure(f"{self.key} could not be started: {error}") from None

    def _ended(self, line):
        status = self.process.wait()
        self.process = None
        return PeerFailure(f"{self.key} ended with status {status} at {line}")

    def stop(self):
        if self.process is None:
            return
        self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Ours(Peer):
    """recurrence-bench, which takes labels of cases and verifies each with its own plain loops when it builds it."""

    def __init__(self, program, isa, seconds, cores):
        super().__init__("ours", [program, "--requests", "--seconds", str(seconds)], {"RECURRENCE_ISA": isa}, cores)
        self.isa = isa

    def ask(self, row, seconds, digests=False):
        return self._answer(row.label(self.isa), row, ("ms_min",))


class Reference(Peer):
    """python/reference.py, which is not timed."""

    def digests(self, row):
        return self._answer(json.dumps(row.request(0)), row, ("digests",))["digests"]
