"""TradeSense: broker exports in, trades and insight out."""
