#!lua flags=allow-oom
-- Prolong a lease that is still held.
-- KEYS: lock.  ARGV: token, ttl in ms.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
