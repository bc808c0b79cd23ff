"""`gatekeeper apikey`: changes the file of API keys."""
