#!lua
-- Add figures to windows. What there is no more room for, a name or a field, is counted as another's.
-- KEYS: names of today (hash: id to name), then the windows (hashes), one of each resolution.
-- ARGV: names kept, fields of each window, id of the other name, seconds that names are kept, seconds for each window,
--       then, for each name: id, name, how many fields, and its fields and values in turn.
-- A field is the name's id and the field's own name. Field X keeps its greatest value.
local names, windows = KEYS[1], #KEYS - 1
local most, room, other = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local i = 5 + windows
while i <= #ARGV do
  local id, fields = ARGV[i], tonumber(ARGV[i + 2])
  if redis.call('HEXISTS', names, id) == 0 then
    if redis.call('HLEN', names) < most then
      redis.call('HSET', names, id, ARGV[i + 1])
    else
      id = other
    end
  end
  for w = 2, windows + 1 do
    for f = i + 3, i + 1 + 2 * fields, 2 do
      local field = id .. ARGV[f]
      if redis.call('HLEN', KEYS[w]) >= room and redis.call('HEXISTS', KEYS[w], field) == 0 then
        field = other .. ARGV[f]
      end
      if ARGV[f] ~= 'X' then
        redis.call('HINCRBY', KEYS[w], field, ARGV[f + 1])
      elseif tonumber(ARGV[f + 1]) > tonumber(redis.call('HGET', KEYS[w], field) or '-1') then
        redis.call('HSET', KEYS[w], field, ARGV[f + 1])
      end
    end
  end
  i = i + 3 + 2 * fields
end
redis.call('EXPIRE', names, ARGV[4])
for w = 2, windows + 1 do
  redis.call('EXPIRE', KEYS[w], ARGV[3 + w])
end
