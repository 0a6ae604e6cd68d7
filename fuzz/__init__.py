"""Long fuzzing of everything that reads untrusted input; run by ``make fuzz``.

Owns: the targets and the inputs. Must not import: the daemon's reactor.
"""
