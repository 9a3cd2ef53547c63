#!lua flags=allow-oom
-- Begin with these servers: where they are others than before, or it is not known which, nothing stored before counts.
-- KEYS: root version, servers, notice.  ARGV: identity of the servers, channel to publish on ('' where clients are tracked).
local root = redis.call('GET', KEYS[1])
if root and redis.call('GET', KEYS[2]) == ARGV[1] then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local hard = tonumber(string.match(root or '', '^(%d+):') or 0)
local version = string.format('%.0f', math.max(hard + 1, now))
redis.call('SET', KEYS[1], version .. ':' .. version)
redis.call('SET', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], '1')
redis.call('DEL', KEYS[3])
if ARGV[2] ~= '' then
  redis.call('PUBLISH', ARGV[2], KEYS[3])
end
return 1
