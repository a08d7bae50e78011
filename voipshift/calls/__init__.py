"""Carrying an accepted call: where it goes, the table of those under way, the proxy, and whether both ends still
live.
"""
