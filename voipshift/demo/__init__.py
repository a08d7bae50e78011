"""A real group on loopback, with a caller and a terminating gateway: ``voipshift demo`` and ``voipshift call``.

:mod:`run` is the flow and reads first.  :mod:`plan` says what is started, :mod:`processes` starts and ends it,
:mod:`gateway` answers the calls that :mod:`caller` places, :mod:`observer` listens to the group, :mod:`table` shows it
while it runs, and :mod:`summary` counts it up.
"""
