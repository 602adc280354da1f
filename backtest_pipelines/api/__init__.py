"""The one door for programs and browsers: the REST API, and the gateway to Dagster's web server. No Dagster here."""
