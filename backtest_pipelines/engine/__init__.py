"""From a market view and a question to trades and notices: arrays in, arrays out, no file and no clock."""
