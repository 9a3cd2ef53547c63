#!lua flags=allow-oom
-- The epoch of these servers. It is a new one where they are others than before, where it is not known which, or where
-- whoever asks may have missed something: then no copy of before counts.
-- KEYS: epoch, servers, notice.  ARGV: identity of the servers, anew (1 or 0), channel ('' where clients are tracked).
local epoch = redis.call('GET', KEYS[1])
if epoch and ARGV[2] == '0' and redis.call('GET', KEYS[2]) == ARGV[1] then
  return epoch
end
local time = redis.call('TIME')
epoch = string.format('%.0f', math.max(tonumber(epoch or 0) + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[1], epoch)
redis.call('SET', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], '1')
redis.call('DEL', KEYS[3])
if ARGV[3] ~= '' then
  redis.call('PUBLISH', ARGV[3], KEYS[3])
end
return epoch
