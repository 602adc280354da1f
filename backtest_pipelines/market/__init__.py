"""What the exchange is: symbols, dated contract rules and charges, and an invented market for demonstrations."""
