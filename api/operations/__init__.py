"""What running the service takes: logs, metrics, health, start and stop, configuration."""
