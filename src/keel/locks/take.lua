#!lua
-- Take a lock that is free. The fencing token grows with every lease, and across a flush, as it follows the server's clock.
-- KEYS: lock, fence.  ARGV: token, ttl in ms, how long the last fence is kept in ms.
-- Returns the fence as text, or for how many ms more the lock is held.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.call('PTTL', KEYS[1])
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local fence = string.format('%.0f', math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, now))
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], fence, 'PX', ARGV[3])
return fence
