#!lua flags=allow-oom
-- The version of a tag or prefix, issued from the server's clock where there is none.
-- KEYS: version.  ARGV: ttl in ms.
local version = redis.call('GET', KEYS[1])
if not version then
  local time = redis.call('TIME')
  local now = string.format('%.0f', time[1] * 1000000 + time[2])
  version = now .. ':' .. now
  redis.call('SET', KEYS[1], version, 'PX', ARGV[1])
end
return version
