"""Logs: one JSON object a line on standard error, key-value events without payloads or secrets."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

_ORDINARY: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonLines(logging.Formatter):
    """Writes an event and its values: `log.info("batch", extra={"events": 5000})`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "role": record.name.rpartition(".")[2],
            "event": record.getMessage(),
        }
        line.update({key: value for key, value in vars(record).items() if key not in _ORDINARY})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(stream: TextIO | None = None) -> None:
    """Send the service's own events at INFO and other libraries' warnings to the stream, by default standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("caldrift").setLevel(logging.INFO)
    logging.getLogger("kafka").setLevel(logging.ERROR)
