-- Charge all limits of one subject, or none. The arithmetic of algorithms.py, by this server's clock in whole µs.
-- KEYS: the state of each limit.
-- ARGV: 'take' or 'peek', cost, most permits beyond it, lease id; then six for each limit:
--   'm' meter:       shadow, capacity in units, units per request, units that leak each µs, 0
--   's' sliding:     shadow, count, period in ticks, ticks passed on, µs per tick      (the third is not used)
--   'f' fixed:       shadow, count, period (0: a window of the calendar), its start, its end
--   'c' concurrency: shadow, count, lease in µs, 0, 0
-- Returns {status, now, extra, and for each limit: room before, µs to wait, µs to the reset, mark}; of status, 1 is
-- charged, 0 refused, -1 that this is not the window of the calendar that the caller thinks it is (nothing was done).
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local call, match, text = redis.call, string.match, string.format
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local cost = tonumber(ARGV[2])
local limits, allowed, least = {}, true, nil

for i = 1, #KEYS do
  local at = i * 6 - 1
  local kind, a, b, c = ARGV[at], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local one = {kind = kind, a = a, b = b, c = c, d = tonumber(ARGV[at + 5]), wait = 0, mark = 0}
  if kind == 'c' then
    if ARGV[1] == 'take' then
      call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    end
    one.level = call('ZCOUNT', KEYS[i], text('(%.0f', now), '+inf')
    one.room, one.cost = a - one.level, 1
  else
    local state = call('GET', KEYS[i])
    one.cost = cost
    if kind == 'm' then
      local level, stamp = 0, now
      if state then
        level, stamp = match(state, '^(%d+) (%d+)')
        level = max(0, level - max(0, now - stamp) * c)
      end
      one.level, one.room = level, floor((a - level) / b)
    elseif kind == 's' then
      local ticks = floor(now / one.d)
      local elapsed = ticks % b
      local index, current, previous = (ticks - elapsed) / b, 0, 0
      if state then
        local window, counted, before = match(state, '^(%d+) (%d+) (%d+)')
        window = tonumber(window)
        if window >= index then
          if window > index then
            index, elapsed = window, 0
          end
          current, previous = tonumber(counted), tonumber(before)
        elseif window == index - 1 then
          previous = tonumber(counted)
        end
      end
      one.level, one.mark, one.previous, one.elapsed = current, index, previous, elapsed
      one.room = floor((a * b - current * b - previous * (b - elapsed)) / b)
    else
      local level, ends = 0, 0
      if state then
        level, ends = match(state, '^(%d+) (%d+)')
        level, ends = tonumber(level), tonumber(ends)
      end
      if ends <= now then
        level, ends = 0, now - now % b + b
        if b == 0 then
          ends = one.d
          if now < c or now >= ends then
            return {-1, now}
          end
        end
      end
      one.level, one.mark, one.room = level, ends, a - level
    end
  end
  one.fits = one.room >= one.cost
  if one.fits then
    least = min(least or one.room, one.room)
  elseif ARGV[at + 1] == '0' then
    allowed = false
  end
  limits[i] = one
end

local extra = 0
local take = allowed and ARGV[1] == 'take'
if take and least then
  extra = max(0, min(tonumber(ARGV[3]), floor((least - cost) / 4)))
end
local reply = {allowed and 1 or 0, now, extra}
for i = 1, #KEYS do
  local one, key = limits[i], KEYS[i]
  local kind, a, b, level = one.kind, one.a, one.b, one.level
  local many = take and one.fits and cost + extra or 0
  local wait, reset = 0, 0
  if kind == 'm' then
    if not one.fits then
      wait = ceil((level + cost * b - a) / one.c)
    end
    level = level + many * b
    reset = ceil(level / one.c)
    if many > 0 then
      call('SET', key, text('%.0f %.0f', level, now), 'PX', ceil(reset / 1000) + 1)
    end
  elseif kind == 's' then
    local previous, elapsed, tick = one.previous, one.elapsed, one.d
    if one.fits then
      wait = 0
    elseif cost > a then -- it never will
      wait = (2 * b - elapsed) * tick - now % tick
    elseif level + cost <= a then
      wait = (b - floor((a - level - cost) * b / previous) - elapsed) * tick - now % tick
    else
      wait = (b - elapsed + max(0, b - floor((a - cost) * b / level))) * tick - now % tick
    end
    level = level + many
    if level > 0 or previous > 0 then
      reset = ((level > 0 and 2 or 1) * b - elapsed) * tick - now % tick
    end
    if many > 0 then
      call('SET', key, text('%.0f %.0f %.0f', one.mark, level, previous), 'PX', ceil(reset / 1000) + 1)
    end
  elseif kind == 'f' then
    level = level + many
    if not one.fits then
      wait = one.mark - now
    end
    if level > 0 then
      reset = one.mark - now
    end
    if many > 0 then
      call('SET', key, text('%.0f %.0f', level, one.mark), 'PX', ceil(reset / 1000) + 1)
    end
  else
    if not one.fits then
      local first = call('ZRANGEBYSCORE', key, text('(%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      wait = first[2] and first[2] - now or 0
    end
    if many > 0 then
      call('ZADD', key, text('%.0f', now + b), ARGV[4])
      call('PEXPIRE', key, ceil(b / 1000) + 1)
    end
    reset = (level > 0 or many > 0) and b or 0
  end
  local n = i * 4
  reply[n], reply[n + 1], reply[n + 2], reply[n + 3] = one.room, wait, reset, one.mark
end
return reply
