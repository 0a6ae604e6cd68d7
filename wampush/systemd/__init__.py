"""What wampush says to systemd and takes from it, with the standard library alone.

Owns: the protocols of sd_notify(3) and sd_listen_fds(3), as far as Twisted has none of its own.
Must not import: anything of wampush, Twisted.
"""
