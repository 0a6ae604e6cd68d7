"""The thread that writes the log.

Owns: the queue of lines to write, its limit, and the count of lines that were lost.
Must not import: anything of wampush.

A pipe that nobody reads, a full disk or a syslog that does not answer must not hold up the reactor.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from time import monotonic
from typing import Final

#: Characters that may wait to be written, about ten thousand lines.
MAX_QUEUED: Final = 1_048_576
#: Seconds that the last lines have to be written, all together.
LAST_PATIENCE: Final = 2.0

#: Writes something; may block, and raises OSError when it cannot be written.
Job = Callable[[], object]


class LogWriter:
    """Carries out writes in their order, in a thread once that is started.

    :param report: writes that lines were lost; takes their number.
    :param max_queued: characters that may wait.
    """

    def __init__(self, report: Callable[[int], object], max_queued: int = MAX_QUEUED) -> None:
        self._report = report
        self._max_queued = max_queued
        # Twisted logs in signal handlers, which may interrupt a thread that holds the lock;
        # the lock of a Condition can be taken again.
        self._changed = Condition()
        self._jobs: deque[Job] = deque()
        self._queued = 0
        self._dropped = 0
        self._lost = 0
        self._is_writing = False
        self._has_thread = False
        self._deadline: float | None = None

    def start(self) -> None:
        """Write in a thread from now on. Threads do not survive a fork, so not before that."""
        self._has_thread = True
        os.register_at_fork(after_in_child=self._on_fork)
        # Nothing waits for it at the exit, as a write may block forever.
        Thread(target=self._work, name="wampush log", daemon=True).start()

    def submit(self, job: Job, size: int = 0) -> None:
        """Have something written after everything submitted before.

        :param size: in characters; a job that exceeds the limit is dropped and counted.
        """
        if not self._has_thread:
            self._run(job)
            return
        with self._changed:
            if size and self._queued + size > self._max_queued:
                self._dropped += 1
            else:
                self._jobs.append(job)
                self._queued += size
                self._changed.notify_all()
        if self._deadline is not None:
            self._wait(self._deadline)

    def finish(self, patience: float = LAST_PATIENCE) -> None:
        """Wait until everything is written, and from now on for each job.

        :param patience: seconds for all of that together.
        """
        self._deadline = monotonic() + patience
        self._wait(self._deadline)

    def _on_fork(self) -> None:
        """Write without a thread in a child of the process, which does not have it."""
        self._changed = Condition()
        self._jobs = deque()
        self._queued = 0
        self._is_writing = self._has_thread = False
        self._deadline = None

    def _wait(self, deadline: float) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: not (self._jobs or self._is_writing), max(deadline - monotonic(), 0)
            )

    def _work(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._jobs)
                self._is_writing = True
                jobs, self._jobs = self._jobs, deque()
                # What was dropped belongs after these jobs.
                dropped, self._dropped = self._dropped, 0
                self._queued = 0
            for job in jobs:
                self._run(job)
            self._lost += dropped
            self._run(None)

    def _run(self, job: Job | None) -> None:
        """Report lost lines, if there are any, then do the job."""
        try:
            if self._lost:
                self._report(self._lost)
                self._lost = 0
            if job is not None:
                job()
        # ValueError: the file was closed.
        except (OSError, ValueError):
            # There is no place to report it but the log; the count comes when that works again.
            self._lost += job is not None
