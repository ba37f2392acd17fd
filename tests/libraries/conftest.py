"""Without a test's libraries there is nothing to collect: `make test-libraries` and `make test-torch` install them."""

from importlib.util import find_spec

NEEDED = {"test_calibrators.py": "betacal", "test_measures.py": "relplot", "test_torch.py": "netcal"}
collect_ignore = [file for file, library in NEEDED.items() if not find_spec(library)]
