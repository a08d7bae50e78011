"""Placing a call attempt: the chain of Deferreds that finds the node which takes it, and ways to know whom to ask."""
