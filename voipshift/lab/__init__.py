"""The lab: a simulated group under simulated traffic, beside its rivals and the pooled group that nobody can beat.

What decides is not rewritten here: each simulated server is the same ``Delegation`` over the same ``Members``,
``Workload``, ``Leases`` and ``Rule`` that a node runs, with simulated time, network and clients around it.  Only the
plots of its report need more than the program does: the extra ``lab``.
"""
