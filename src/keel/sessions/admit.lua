-- List a token among its user's, which are listed for exactly as long as the last of them may live.
-- KEYS: index.  ARGV: now, when the session ends however much it is used (both ms since 1970), the token's hash.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last[2] - ARGV[1]))
return 1
