-- Charge all limits of one subject, or none. The arithmetic of algorithms.py, by this server's clock in whole µs.
-- KEYS: the state of each limit.
-- ARGV: terms, lease id. Terms, states and reply are packed, which costs a tenth of reading and writing digits.
-- Terms: take (1) or peek (0), cost, most permits beyond it; then for each limit its kind, whether it is a shadow, and
--   1 meter:       capacity in units, units per request, units that leak each µs, 0
--   2 sliding:     count, period in ticks, 0, µs per tick
--   3 fixed:       count, period (0: a window of the calendar), its start, its end
--   4 concurrency: count, lease in µs, 0, 0
-- Reply: status, now, extra, and for each limit: room before, µs to wait, µs to the reset, mark. Status is 1 for charged, 0
-- for refused, -1 where this is not the window of the calendar that the caller thinks it is (then nothing was done).
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local call, pack, read = redis.call, struct.pack, struct.unpack
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local terms, count = ARGV[1], #KEYS
local taking, cost, most, at = read('<bdd', terms)
local limits, allowed, least = {}, true, nil

for i = 1, count do
  local kind, shadow, a, b, c, d
  kind, shadow, a, b, c, d, at = read('<bbdddd', terms, at)
  local key, needed, level, room, mark, previous, elapsed = KEYS[i], cost, 0, 0, 0, 0, 0
  if kind == 1 then
    local state = call('GET', key)
    if state then
      local stamp
      level, stamp = read('<dd', state)
      level = max(0, level - max(0, now - stamp) * c)
    end
    room = floor((a - level) / b)
  elseif kind == 2 then
    local state, ticks = call('GET', key), floor(now / d)
    elapsed = ticks % b
    mark = (ticks - elapsed) / b
    if state then
      local window, counted, before = read('<ddd', state)
      if window >= mark then
        if window > mark then
          mark, elapsed = window, 0
        end
        level, previous = counted, before
      elseif window == mark - 1 then
        previous = counted
      end
    end
    room = floor((a * b - level * b - previous * (b - elapsed)) / b)
  elseif kind == 3 then
    local state = call('GET', key)
    if state then
      level, mark = read('<dd', state)
    end
    if mark <= now then
      level, mark = 0, now - now % b + b
      if b == 0 then
        mark = d
        if now < c or now >= d then
          return pack('<bdd', -1, now, 0)
        end
      end
    end
    room = a - level
  else
    if taking == 1 then
      call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
    end
    level = call('ZCOUNT', key, string.format('(%.0f', now), '+inf')
    room, needed = a - level, 1
  end
  local fits = room >= needed
  if fits then
    least = least and min(least, room) or room
  elseif shadow == 0 then
    allowed = false
  end
  limits[i] = {kind, a, b, c, d, level, room, fits, mark, previous, elapsed}
end

local extra = 0
local take = allowed and taking == 1
if take and most > 0 and least then
  extra = max(0, min(most, floor((least - cost) / 4)))
end
local reply = {pack('<bdd', allowed and 1 or 0, now, extra)}
for i = 1, count do
  local kind, a, b, c, tick, level, room, fits, mark, previous, elapsed = unpack(limits[i])
  local key, many, wait, reset = KEYS[i], take and fits and cost + extra or 0, 0, 0
  if kind == 1 then
    if not fits then
      wait = ceil((level + cost * b - a) / c)
    end
    level = level + many * b
    reset = ceil(level / c)
    if many > 0 then
      call('SET', key, pack('<dd', level, now), 'PX', ceil(reset / 1000) + 1)
    end
  elseif kind == 2 then
    if not fits then
      local ticks
      if cost > a then -- it never will
        ticks = 2 * b - elapsed
      elseif level + cost <= a then
        ticks = b - floor((a - level - cost) * b / previous) - elapsed
      else
        ticks = b - elapsed + max(0, b - floor((a - cost) * b / level))
      end
      wait = ticks * tick - now % tick
    end
    level = level + many
    if level > 0 or previous > 0 then
      reset = ((level > 0 and 2 or 1) * b - elapsed) * tick - now % tick
    end
    if many > 0 then
      call('SET', key, pack('<ddd', mark, level, previous), 'PX', ceil(reset / 1000) + 1)
    end
  elseif kind == 3 then
    level = level + many
    wait = fits and 0 or mark - now
    reset = level > 0 and mark - now or 0
    if many > 0 then
      call('SET', key, pack('<dd', level, mark), 'PX', ceil(reset / 1000) + 1)
    end
  else
    if not fits then
      local first = call('ZRANGEBYSCORE', key, string.format('(%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      wait = first[2] and first[2] - now or 0
    end
    if many > 0 then
      call('ZADD', key, string.format('%.0f', now + b), ARGV[2])
      call('PEXPIRE', key, ceil(b / 1000) + 1)
    end
    reset = (level > 0 or many > 0) and b or 0
  end
  reply[i + 1] = pack('<dddd', room, wait, reset, mark)
end
return table.concat(reply)
