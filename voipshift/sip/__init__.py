"""SIP as in RFC 3261: what is said (grammar, uri, message), and how it is said reliably (timers, transaction, layer).

These files are pure: octets, addresses and the time come in as arguments, and what is to be done is returned.
"""
