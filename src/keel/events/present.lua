#!lua flags=no-writes
-- Who is there: "connection member" each.
-- KEYS: presence.
local time = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), '+inf')
