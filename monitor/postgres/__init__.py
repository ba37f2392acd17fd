"""All SQL, one module for each group of tables."""
