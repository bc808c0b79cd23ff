"""The ground under every process: settings, logs, metrics, retries and clients."""
