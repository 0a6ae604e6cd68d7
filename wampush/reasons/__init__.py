"""The reasons why inputs are refused and connections end, and who can fix them.

Owns: the two tables. Must not import: anything else of wampush.

``errors`` hands these names on, so that code that raises an error imports its reason from the same
place.
"""

from wampush.reasons.close_reasons import CloseReason, Ending
from wampush.reasons.fault import Fault
from wampush.reasons.input_refusals import Reason, Refusal

__all__ = ["CloseReason", "Ending", "Fault", "Reason", "Refusal"]
