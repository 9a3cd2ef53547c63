-- Store a copy, if whoever read it still holds the lease: a session that ended meanwhile has taken it away.
-- KEYS: copy, lease.  ARGV: the lease's token, the copy, its ttl in ms.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
