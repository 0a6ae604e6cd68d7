"""End to end: the daemon as a process, a real browser, real PHP, real ZeroMQ."""
