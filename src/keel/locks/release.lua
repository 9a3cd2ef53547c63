#!lua flags=allow-oom
-- Give a lease back that is still held, and wake who waits.
-- KEYS: lock, which is the channel's name as well.  ARGV: token, PUBLISH (on a cluster SPUBLISH).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call(ARGV[2], KEYS[1], '')
return 1
