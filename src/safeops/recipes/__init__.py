"""Changes that take several steps or several deploys."""
