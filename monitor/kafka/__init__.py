"""Everything that speaks to Kafka: a consumer whose positions come from Postgres, a publisher, topics."""
