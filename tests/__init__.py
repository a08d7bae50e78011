"""The tests: no socket, no sleep, no global reactor, save in :mod:`tests.interop`."""
