#!lua flags=allow-oom
-- Where a channel is, and what was sent since a place. A channel without a count gets one, so that its place has a name.
-- KEYS: history, count.
-- ARGV: id of an epoch that begins, how long the count is kept in ms, epoch of the place ('' for none), its offset, most
--       bytes to return.
-- Returns epoch, offset, whether everything since the place is known, and the messages.
local epoch, offset = unpack(redis.call('HMGET', KEYS[2], 'e', 'o'))
offset = tonumber(offset or 0)
if not epoch then
  epoch = ARGV[1]
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[2], 'e', epoch, 'o', 0)
  offset = 0
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local since = tonumber(ARGV[4])
if ARGV[3] == '' then
  return {epoch, offset, 1, {}}
end
if ARGV[3] ~= epoch or since > offset then
  return {epoch, offset, 0, {}}
end
local missed, bytes = {}, 0
while since < offset do
  local entries = redis.call('XRANGE', KEYS[1], string.format('%.0f-0', since + 1), '+', 'COUNT', 100)
  if #entries == 0 then
    return {epoch, offset, 0, {}}
  end
  for _, entry in ipairs(entries) do
    since = since + 1
    local message = entry[2][2]
    bytes = bytes + #message
    if entry[1] ~= string.format('%.0f-0', since) or bytes > tonumber(ARGV[5]) then
      return {epoch, offset, 0, {}}
    end
    missed[#missed + 1] = message
  end
end
return {epoch, offset, 1, missed}
