#!lua
-- Count a message, remember it and send it.
-- KEYS: history, count, and where it has an idempotency key the place of its first copy.
-- ARGV: message, id of an epoch that begins, messages kept, how long they are kept in ms, how long the count is kept in ms,
--       channel, PUBLISH (on a cluster SPUBLISH), how long an idempotency key is known in ms.
-- Returns epoch and offset.
if KEYS[3] then
  local first = redis.call('HMGET', KEYS[3], 'e', 'o')
  if first[1] then
    return {first[1], tonumber(first[2])}
  end
end
local epoch = redis.call('HGET', KEYS[2], 'e')
if not epoch then
  epoch = ARGV[2]
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[2], 'e', epoch)
end
local offset = redis.call('HINCRBY', KEYS[2], 'o', 1)
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[3], string.format('%.0f-0', offset), 'd', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if KEYS[3] then
  redis.call('HSET', KEYS[3], 'e', epoch, 'o', offset)
  redis.call('PEXPIRE', KEYS[3], ARGV[8])
end
redis.call(ARGV[7], ARGV[6], epoch .. ' ' .. string.format('%.0f', offset) .. ' ' .. ARGV[1])
return {epoch, offset}
