"""Settings -> how to reach Kafka and Postgres."""

from monitor.config.sections import Settings
from monitor.kafka.access import KafkaAccess
from monitor.kafka.consumer import IntakeSettings


def kafka_access(settings: Settings) -> KafkaAccess:
    """Addresses and credentials of the cluster."""
    kafka = settings.kafka
    return KafkaAccess(
        bootstrap_servers=kafka.bootstrap_servers,
        client_id=kafka.client_id,
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism,
        sasl_username=kafka.sasl_username,
        sasl_password=kafka.sasl_password.get_secret_value() if kafka.sasl_password else None,
        sasl_oauth_token_file=kafka.sasl_oauth_token_path,
        ssl_cafile=str(kafka.ssl_cafile) if kafka.ssl_cafile else None,
        ssl_certfile=str(kafka.ssl_certfile) if kafka.ssl_certfile else None,
        ssl_keyfile=str(kafka.ssl_keyfile) if kafka.ssl_keyfile else None,
        ssl_password=kafka.ssl_key_password.get_secret_value() if kafka.ssl_key_password else None,
        ssl_check_hostname=kafka.ssl_check_hostname,
    )


def intake_settings(settings: Settings) -> IntakeSettings:
    """What an ingest process reads, and how."""
    kafka = settings.kafka
    return IntakeSettings(
        group_id=kafka.group_id,
        topics=(kafka.predictions_topic, kafka.labels_topic),
        batch_size=settings.ingest.batch_size,
        session_timeout_ms=round(kafka.session_timeout.total_seconds() * 1000),
        heartbeat_interval_ms=round(kafka.heartbeat_interval.total_seconds() * 1000),
        request_timeout_ms=round(kafka.request_timeout.total_seconds() * 1000),
        max_poll_interval_ms=round(kafka.max_poll_interval.total_seconds() * 1000),
    )
