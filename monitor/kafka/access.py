"""How to reach a Kafka cluster: addresses, TLS, SASL. The values that every client of this package is built from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from kafka.net.sasl.oauth import AbstractTokenProvider

Partition: TypeAlias = tuple[str, int]
"""A topic and the number of one of its partitions. kafka-python's TopicPartition is equal to it and hashes alike."""


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Addresses and credentials of one cluster. Secrets are left out of its text form."""

    bootstrap_servers: tuple[str, ...]
    client_id: str = "caldrift"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    sasl_oauth_token_file: Path | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_password: str | None = field(default=None, repr=False)
    ssl_check_hostname: bool = True


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python ships no types
    """The OAUTHBEARER token, read from a file at each connection, so that whoever renews the file renews the login."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def token(self) -> str:
        return self.path.read_text(encoding="utf-8").strip()


def client_options(access: KafkaAccess) -> dict[str, object]:
    """The options that consumers, producers and admin clients of kafka-python share."""
    options: dict[str, object] = {
        "bootstrap_servers": list(access.bootstrap_servers),
        "client_id": access.client_id,
        "security_protocol": access.security_protocol,
        "ssl_check_hostname": access.ssl_check_hostname,
    }
    optional: dict[str, object] = {
        "sasl_mechanism": access.sasl_mechanism,
        "sasl_plain_username": access.sasl_username,
        "sasl_plain_password": access.sasl_password,
        "sasl_oauth_token_provider": TokenFile(access.sasl_oauth_token_file) if access.sasl_oauth_token_file else None,
        "ssl_cafile": access.ssl_cafile,
        "ssl_certfile": access.ssl_certfile,
        "ssl_keyfile": access.ssl_keyfile,
        "ssl_password": access.ssl_password,
    }
    return options | {name: value for name, value in optional.items() if value is not None}
