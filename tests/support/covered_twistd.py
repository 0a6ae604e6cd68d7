"""Runs twistd as its own script does, and keeps what coverage has measured in it.

twistd ends by raising again the signal that stopped it, so that nothing runs at exit any more, and
coverage, when it measures this process, would lose its data.
"""

from __future__ import annotations

import coverage
from twisted.application import app
from twisted.scripts import twistd

end_by_signal = app._exitWithSignal


def save_and_end(number: int) -> None:
    """Write the measurements, then end as twistd would have."""
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.stop()
        measuring.save()
    end_by_signal(number)


app._exitWithSignal = save_and_end

if __name__ == "__main__":
    twistd.run()
