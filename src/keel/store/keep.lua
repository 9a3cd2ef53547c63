#!lua
-- Keep segments of traces: their summaries, and their bodies where there is room for them among those of the trace.
-- KEYS: summaries (stream), index of all bodies (list, the oldest first), then the bodies of each one's trace (hash).
-- ARGV: summaries kept, parts kept of a trace, bytes of all bodies, seconds that all is kept,
--       then, for each: trace id, span id, summary, body, what it counts for.
-- An entry of the index is: all bytes up to and with this body, trace id, span id. The bytes of those that are kept are
-- the difference of two entries: there is no count that could go astray.
-- Returns the trace ids and span ids, in turn, of bodies that make room.
local most, parts, room, seconds = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local last = redis.call('LINDEX', KEYS[2], -1)
local all = last and tonumber(string.match(last, '^%d+')) or 0
for k = 3, #KEYS do
  local i = 5 * (k - 2)
  local trace, span, body = ARGV[i], ARGV[i + 1], ARGV[i + 3]
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', most, '*', 's', ARGV[i + 2])
  if #body > 0 and redis.call('HLEN', KEYS[k]) < parts then
    redis.call('HSET', KEYS[k], span, body)
    redis.call('EXPIRE', KEYS[k], seconds)
    all = all + tonumber(ARGV[i + 4])
    redis.call('RPUSH', KEYS[2], string.format('%.0f %s %s', all, trace, span))
  end
end
redis.call('EXPIRE', KEYS[1], seconds)
redis.call('EXPIRE', KEYS[2], seconds)
local gone = {}
local oldest = redis.call('LINDEX', KEYS[2], 0)
while oldest do
  local upto, trace, span = string.match(oldest, '^(%d+) (%S+) (%S+)$')
  if all - tonumber(upto) < room then
    return gone
  end
  redis.call('LPOP', KEYS[2])
  gone[#gone + 1] = trace
  gone[#gone + 1] = span
  oldest = redis.call('LINDEX', KEYS[2], 0)
end
return gone
