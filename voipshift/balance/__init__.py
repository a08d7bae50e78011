"""Who takes a call: a node's own workload, the leases it gave, what it believes of the others, and the rule.

Pure: nothing here knows Twisted, sockets or SIP.  Time and randomness are arguments, and what a method decides it
returns.  The same objects run under the reactor, in the tests' simulated group and in the lab.
"""
