"""What outlives a process: doors to SQLite, to Redis and to files, behind the small interfaces of those they serve."""
