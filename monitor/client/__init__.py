"""The library for services: log predictions and labels, apply the map in force, ask for a decision.

`Client` is all that a service imports, and so the one name that is given here again.
"""

from monitor.client.client import Client as Client
