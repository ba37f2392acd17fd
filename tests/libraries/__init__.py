"""Measures against the libraries of the field, in environments that have them: `make test-libraries test-torch`."""
