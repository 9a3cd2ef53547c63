#!lua flags=allow-oom
-- Prolong a lease that is still held, or give it back with a ttl of 0.
-- KEYS: lease.  ARGV: token, ttl in ms.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  return redis.call('DEL', KEYS[1])
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
