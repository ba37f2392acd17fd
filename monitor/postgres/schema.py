"""The whole schema: the tables of every part, in one metadata."""

from typing import Final

from monitor.postgres import alert_tables, calibrator_tables, certificate_tables, review_tables, tables

whole_schema: Final = tables.metadata
"""All tables: importing their modules puts them in."""
PARTS: Final = (tables, alert_tables, calibrator_tables, certificate_tables, review_tables)
