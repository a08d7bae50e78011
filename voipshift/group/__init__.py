"""What nodes say to each other: sealed datagrams, the messages in them, the members that are known, and the door."""
