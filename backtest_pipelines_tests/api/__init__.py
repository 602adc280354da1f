"""The API over real sockets: its process, and behind it a stand-in or Dagster's own web server."""
