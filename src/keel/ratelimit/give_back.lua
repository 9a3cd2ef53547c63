-- Take back what was charged, where it still counts: a window that is over has nothing to give back to.
-- KEYS: the state of each limit.  ARGV: how many, lease id; then six for each limit as in take.lua, of which the second is
-- the mark that the charge was made under.
local max, ceil, floor = math.max, math.ceil, math.floor
local call, match, text = redis.call, string.match, string.format
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local many = tonumber(ARGV[1])

for i = 1, #KEYS do
  local at = i * 6 - 3
  local kind, mark, key = ARGV[at], tonumber(ARGV[at + 1]), KEYS[i]
  if kind == 'c' then
    call('ZREM', key, ARGV[2])
  else
    local state = call('GET', key)
    if state and kind == 'm' then
      local step, leak = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
      local level, stamp = match(state, '^(%d+) (%d+)')
      level = max(0, level - max(0, now - stamp) * leak - many * step)
      if level > 0 then
        call('SET', key, text('%.0f %.0f', level, now), 'PX', ceil(level / leak / 1000) + 1)
      else
        call('DEL', key)
      end
    elseif state and kind == 's' then
      local window, current, previous = match(state, '^(%d+) (%d+) (%d+)')
      window, current, previous = tonumber(window), tonumber(current), tonumber(previous)
      if window == mark then
        current = max(0, current - many)
      elseif window == mark + 1 then
        previous = max(0, previous - many)
      end
      call('SET', key, text('%.0f %.0f %.0f', window, current, previous), 'KEEPTTL')
    elseif state then
      local level, ends = match(state, '^(%d+) (%d+)')
      if tonumber(ends) == mark then
        call('SET', key, text('%.0f %s', max(0, level - many), ends), 'KEEPTTL')
      end
    end
  end
end
return 1
