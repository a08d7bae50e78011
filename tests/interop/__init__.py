"""Tests with real programs on both sides: the nodes are processes, and so are the clients and gateways that they meet.

They run where ``VOIPSHIFT_INTEROP=1`` is set, as in CI; a program that is missing then is a failure.  Only loopback is
used, or a network namespace that the test makes itself.
"""
