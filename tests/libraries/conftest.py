"""Without the libraries there is nothing to collect: `make test-libraries` makes an environment that has them."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("relplot") else ["test_*.py"]
