-- Take back what was charged, where it still counts: a window that is over has nothing to give back to.
-- KEYS: what is counted of the subject; then a set of leases for each concurrency.
-- ARGV: terms, lease id, and a field for each rate. Terms, packed: how many; then for each rate its kind, the mark that the
-- charge was made under, and two numbers as in take.lua (units per request, units that leak each µs).
local max, call, pack, read = math.max, redis.call, struct.pack, struct.unpack
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local terms = ARGV[1]
local many, at = read('<d', terms)

for i = 3, #ARGV do
  local kind, mark, step, leak
  kind, mark, step, leak, at = read('<bddd', terms, at)
  local state, left = call('HGET', KEYS[1], ARGV[i]), nil
  if state and kind == 1 then
    local level, stamp = read('<dd', state)
    left = pack('<dd', max(0, level - max(0, now - stamp) * leak - many * step), now)
  elseif state and kind == 2 then
    local window, current, previous = read('<ddd', state)
    if window == mark then
      current = max(0, current - many)
    elseif window == mark + 1 then
      previous = max(0, previous - many)
    end
    left = pack('<ddd', window, current, previous)
  elseif state then
    local level, ends = read('<dd', state)
    left = ends == mark and pack('<dd', max(0, level - many), ends)
  end
  if left then
    call('HSET', KEYS[1], ARGV[i], left)
  end
end
for i = 2, #KEYS do
  call('ZREM', KEYS[i], ARGV[2])
end
return 1
