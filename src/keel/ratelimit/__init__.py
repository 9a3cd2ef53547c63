"""Rate limits: how often somebody may do something, counted together by all processes."""
