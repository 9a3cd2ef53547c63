#!lua
-- Count errors of one group. One that was resolved before they happened is open again.
-- KEYS: group (hash), users (bitmap), index (sorted set: groups by when they were seen last).
-- ARGV: token of this batch, fingerprint, when in us, how many, sample, groups kept, routes named, the name of other routes,
--       how long is kept in s, when the first of them happened in us, how many bits, bits..., then routes and how often, in turn.
-- Returns the fingerprints of groups that make room.
local group, users, index = KEYS[1], KEYS[2], KEYS[3]
local token, name, at, count, sample = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local most_groups, most_routes, other = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local kept_s, since, bits = ARGV[9], ARGV[10], tonumber(ARGV[11])

local tokens = redis.call('HGET', group, 'tokens') or ''
if string.find(tokens, token, 1, true) then
  return {}  -- its answer was lost, and it comes again
end

if redis.call('HSETNX', group, 'first', since) == 1 then
  redis.call('HSET', group, 'last', at, 'state', 'open', 'changed', at, 'count', 0, 'regressions', 0, 'routes', 0)
else
  local was = redis.call('HMGET', group, 'state', 'changed', 'last', 'first')
  if was[1] == 'resolved' and tonumber(at) > tonumber(was[2]) then
    redis.call('HSET', group, 'state', 'open', 'changed', at)
    redis.call('HINCRBY', group, 'regressions', 1)
  end
  if tonumber(at) > tonumber(was[3]) then
    redis.call('HSET', group, 'last', at)
  end
  if tonumber(since) < tonumber(was[4]) then
    redis.call('HSET', group, 'first', since)
  end
end
redis.call('HINCRBY', group, 'count', count)
redis.call('HSET', group, 'sample', sample, 'tokens', string.sub(token .. ' ' .. tokens, 1, 288))
for i = 12, 11 + bits do
  redis.call('SETBIT', users, ARGV[i], 1)
end
for i = 12 + bits, #ARGV, 2 do
  local field = 'r:' .. ARGV[i]
  if redis.call('HEXISTS', group, field) == 0 then
    if tonumber(redis.call('HGET', group, 'routes')) < most_routes then
      redis.call('HINCRBY', group, 'routes', 1)
    else
      field = 'r:' .. other
    end
  end
  redis.call('HINCRBY', group, field, ARGV[i + 1])
end
redis.call('EXPIRE', group, kept_s)
redis.call('EXPIRE', users, kept_s)
redis.call('ZADD', index, 'GT', at, name)
redis.call('EXPIRE', index, kept_s)
local gone = {}
local surplus = redis.call('ZCARD', index) - most_groups
if surplus > 0 then
  gone = redis.call('ZRANGE', index, 0, surplus - 1)
  redis.call('ZREM', index, unpack(gone))
end
return gone
