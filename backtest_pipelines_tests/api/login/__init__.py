"""The login, over real connections to a real process."""
