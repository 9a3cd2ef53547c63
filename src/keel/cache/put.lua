#!lua
-- Store a value whatever there is; whoever computes one may no longer store theirs, and copies in memory count no more.
-- KEYS: value, lease, notice.  ARGV: value, ttl in ms, channel to publish on ('' where clients are tracked).
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[3], '1')
redis.call('DEL', KEYS[3])
if ARGV[3] ~= '' then
  redis.call('PUBLISH', ARGV[3], KEYS[3])
end
return 1
