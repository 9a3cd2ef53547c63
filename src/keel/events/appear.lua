#!lua
-- Note who is there, unless that would be too many. Who is not noted again in time is forgotten.
-- KEYS: presence.  ARGV: how long in ms, most (-1 for any number), then "connection member" each.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local most, more = tonumber(ARGV[2]), 0
for at = 3, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[at]) then
    more = more + 1
  end
end
if most >= 0 and more > 0 and redis.call('ZCARD', KEYS[1]) + more > most then
  return 0
end
for at = 3, #ARGV do
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[1]), ARGV[at])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
