"""A group of SIP and H.323 proxy servers that share their workload and shift calls among themselves."""

__version__ = "0.1.dev0"
