#!lua
-- Keep a segment of a trace: its summary, and its body where there is room for it among those of the trace.
-- KEYS: summaries (stream), bodies of the trace (hash), index of all bodies (list, the oldest first).
-- ARGV: summary, summaries kept, body, what it counts for, trace id, span id, parts kept of a trace,
--       bytes of all bodies, seconds that all is kept.
-- An entry of the index is: all bytes up to and with this body, trace id, span id. The bytes of those that are kept are
-- the difference of two entries: there is no count that could go astray.
-- Returns the trace ids and span ids, in turn, of bodies that make room.
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 's', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[9])
local gone = {}
if #ARGV[3] == 0 or redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[7]) then
  return gone
end
redis.call('HSET', KEYS[2], ARGV[6], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[9])
local last = redis.call('LINDEX', KEYS[3], -1)
local all = (last and tonumber(string.match(last, '^%d+')) or 0) + tonumber(ARGV[4])
redis.call('RPUSH', KEYS[3], string.format('%.0f %s %s', all, ARGV[5], ARGV[6]))
redis.call('EXPIRE', KEYS[3], ARGV[9])
while true do
  local upto, trace, span = string.match(redis.call('LINDEX', KEYS[3], 0), '^(%d+) (%S+) (%S+)$')
  if all - tonumber(upto) < tonumber(ARGV[8]) then
    return gone
  end
  redis.call('LPOP', KEYS[3])
  gone[#gone + 1] = trace
  gone[#gone + 1] = span
end
