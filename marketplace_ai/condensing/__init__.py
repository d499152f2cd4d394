"""Condensing: which of many labeled texts need to vote."""

from .fewest_votes import MAX_LOSS, MIN_FAMILIES, Condensed, condense, steps
from .held_out_loss import Loss

__all__ = ["MAX_LOSS", "MIN_FAMILIES", "Condensed", "Loss", "condense", "steps"]
