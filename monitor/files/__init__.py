"""Files of events and of pairs, read and measured without any server."""
