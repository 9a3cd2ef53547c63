#!lua
-- Store a computed value if the right to do so still holds: an invalidation has taken it away.
-- KEYS: value, lease.  ARGV: token, value, ttl in ms.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
