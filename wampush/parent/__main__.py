"""The program that twistd's process becomes.

Owns: finding wampush where twistd found it. Must not import: Twisted.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

    from wampush.parent.process import main

    sys.exit(main(sys.argv[1:]))
