"""The one use case, executing a request, and the record of every execution."""
