"""Who may do what through the one port: tokens with scopes, sessions of browsers, checks of requests."""
