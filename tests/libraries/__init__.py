"""Measures against the libraries of the field, in an environment that has them: `make test-libraries`."""
