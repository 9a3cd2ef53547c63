-- Take back what was charged, where it still counts: a window that is over has nothing to give back to.
-- KEYS: the state of each limit.  ARGV: terms, lease id. Terms, packed: how many; then for each limit its kind, the mark
-- that the charge was made under, and two numbers as in take.lua (units per request, units that leak each µs).
local max, ceil = math.max, math.ceil
local call, pack, unpack = redis.call, struct.pack, struct.unpack
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local terms = ARGV[1]
local many, at = unpack('<d', terms)

for i = 1, #KEYS do
  local kind, mark, step, leak
  kind, mark, step, leak, at = unpack('<bddd', terms, at)
  local key = KEYS[i]
  if kind == 4 then
    call('ZREM', key, ARGV[2])
  else
    local state = call('GET', key)
    if state and kind == 1 then
      local level, stamp = unpack('<dd', state)
      level = max(0, level - max(0, now - stamp) * leak - many * step)
      if level > 0 then
        call('SET', key, pack('<dd', level, now), 'PX', ceil(level / leak / 1000) + 1)
      else
        call('DEL', key)
      end
    elseif state and kind == 2 then
      local window, current, previous = unpack('<ddd', state)
      if window == mark then
        current = max(0, current - many)
      elseif window == mark + 1 then
        previous = max(0, previous - many)
      end
      call('SET', key, pack('<ddd', window, current, previous), 'KEEPTTL')
    elseif state then
      local level, ends = unpack('<dd', state)
      if ends == mark then
        call('SET', key, pack('<dd', max(0, level - many), ends), 'KEEPTTL')
      end
    end
  end
end
return 1
