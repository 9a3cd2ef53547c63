#!lua
-- Add figures to windows. A name that there is no more room for is counted as another.
-- KEYS: names of today (hash: id to name), then the windows (hashes), one of each resolution.
-- ARGV: names kept, id of the other name, seconds that names are kept, seconds for each window,
--       then, for each name: id, name, how many fields, and its fields and values in turn.
-- A field is the name's id and the field's own name. One that ends in X keeps its greatest value.
local names, windows = KEYS[1], #KEYS - 1
local most, other = tonumber(ARGV[1]), ARGV[2]
local i = 4 + windows
while i <= #ARGV do
  local id, fields = ARGV[i], tonumber(ARGV[i + 2])
  if redis.call('HEXISTS', names, id) == 0 then
    if redis.call('HLEN', names) < most then
      redis.call('HSET', names, id, ARGV[i + 1])
    else
      id = other
    end
  end
  for w = 1, windows do
    for f = i + 3, i + 1 + 2 * fields, 2 do
      local field = id .. ARGV[f]
      if string.sub(field, -1) ~= 'X' then
        redis.call('HINCRBY', KEYS[w + 1], field, ARGV[f + 1])
      elseif tonumber(ARGV[f + 1]) > tonumber(redis.call('HGET', KEYS[w + 1], field) or '-1') then
        redis.call('HSET', KEYS[w + 1], field, ARGV[f + 1])
      end
    end
  end
  i = i + 3 + 2 * fields
end
redis.call('EXPIRE', names, ARGV[3])
for w = 1, windows do
  redis.call('EXPIRE', KEYS[w + 1], ARGV[3 + w])
end
