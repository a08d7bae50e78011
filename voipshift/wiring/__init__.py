"""What ``tap.py`` wires a node of: parts that bring several rooms together, each made of the settings."""
