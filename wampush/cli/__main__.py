"""``python -m wampush.cli``: the command without its script.

Owns: nothing. Must not import: anything but the command.
"""

import sys

from wampush.cli import main

sys.exit(main())
