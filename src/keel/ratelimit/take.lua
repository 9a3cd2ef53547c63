-- Charge all limits of one subject, or none. The arithmetic of algorithms.py, by this server's clock in whole µs.
-- KEYS: what is counted of the subject, a field per rate; then a set of leases for each concurrency.
-- ARGV: terms; a field for each rate; and where there are concurrencies, the lease id.
-- Terms, states and reply are packed, which costs a tenth of reading and writing digits.
-- Terms: take (1) or peek (0), number of limits, cost, most permits beyond it; then for each limit its kind, whether it is
-- a shadow, and
--   1 meter:       capacity in units, units per request, units that leak each µs, 0
--   2 sliding:     count, period in ticks, 0, µs per tick
--   3 fixed:       count, period (0: a window of the calendar), its start, its end
--   4 concurrency: count, lease in µs, 0, 0
-- Reply: status, now, extra, and for each limit: room before, µs to wait, µs to the reset, mark. Status is 1 for charged, 0
-- for refused, -1 where this is not the window of the calendar that the caller thinks it is (then nothing was done).
local call, pack, read = redis.call, struct.pack, struct.unpack
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local terms, place, sets = ARGV[1], KEYS[1], #KEYS
local taking, count, cost, most, first = read('<bbdd', terms)
local rates = count - sets + 1
local states = rates > 0 and call('HMGET', place, 'ends', unpack(ARGV, 2, rates + 1))
local extra, many, leases = 0, taking == 1 and cost or 0, sets > 1 and {}
local writing = {'HSET', place, 0, 0, 0, 0}
local allowed, told, size, lasts

-- Each limit is worked out as if all were charged; where that is not so, once more. Nothing is written before.
while true do
  local at, field, set, least = first, 1, 1, nil
  allowed, told, size, lasts = 1, nil, 2, 0
  for i = 1, count do
    local kind, shadow, a, b, c, d
    kind, shadow, a, b, c, d, at = read('<bbdddd', terms, at)
    local room, fits, level, wait, reset, mark, state = 0, false, 0, 0, 0, 0, nil
    if kind ~= 4 then
      field = field + 1
      state = states[field]
    end
    if kind == 1 then
      if state then
        local stamp
        level, stamp = read('<dd', state)
        state = nil
        if now > stamp then
          level = level - (now - stamp) * c
          if level < 0 then
            level = 0
          end
        end
      end
      room = (a - level) / b
      room = room - room % 1
      fits = room >= cost
      if not fits then
        wait = (level + cost * b - a) / c
        wait = wait + -wait % 1
      elseif many > 0 then
        level = level + many * b
        state = pack('<dd', level, now)
      end
      reset = level / c
      reset = reset + -reset % 1
    elseif kind == 2 then
      local ticks, previous = math.floor(now / d), 0
      local elapsed = ticks % b
      mark = (ticks - elapsed) / b
      if state then
        local window, counted, before = read('<ddd', state)
        state = nil
        if window >= mark then
          if window > mark then
            mark, elapsed = window, 0
          end
          level, previous = counted, before
        elseif window == mark - 1 then
          previous = counted
        end
      end
      room = math.floor((a * b - level * b - previous * (b - elapsed)) / b)
      fits = room >= cost
      if not fits then
        if cost > a then -- it never will
          wait = 2 * b - elapsed
        elseif level + cost <= a then
          wait = b - math.floor((a - level - cost) * b / previous) - elapsed
        else
          wait = b - elapsed + math.max(0, b - math.floor((a - cost) * b / level))
        end
        wait = wait * d - now % d
      elseif many > 0 then
        level = level + many
        state = pack('<ddd', mark, level, previous)
      end
      if level > 0 or previous > 0 then
        reset = ((level > 0 and 2 or 1) * b - elapsed) * d - now % d
      end
    elseif kind == 3 then
      if state then
        level, mark = read('<dd', state)
        state = nil
      end
      if mark <= now then
        level, mark = 0, now - now % b + b
        if b == 0 then
          mark = d
          if now < c or now >= d then
            return pack('<bi8i8', -1, now, 0)
          end
        end
      end
      room = a - level
      fits = room >= cost
      if not fits then
        wait = mark - now
      elseif many > 0 then
        level = level + many
        state = pack('<dd', level, mark)
      end
      if level > 0 then
        reset = mark - now
      end
    else
      set = set + 1
      local key, alive = KEYS[set], string.format('(%.0f', now)
      level = call('ZCOUNT', key, alive, '+inf')
      room = a - level
      fits = room >= 1
      leases[set] = fits and b
      if not fits then
        local soonest = call('ZRANGEBYSCORE', key, alive, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
        wait = soonest[2] and soonest[2] - now or 0
      end
      if level > 0 or fits and many > 0 then
        reset = b
      end
    end
    if fits then
      if not least or room < least then
        least = room
      end
    elseif shadow == 0 then
      allowed = 0
    end
    if state then
      size = size + 2
      writing[size - 1], writing[size] = ARGV[field], state
      if reset > lasts then
        lasts = reset
      end
    end
    local its = pack('<i8i8i8i8', room, wait, reset, mark)
    told = told and told .. its or its
  end
  local charge = 0
  if allowed == 1 and taking == 1 then
    if most > 0 and least then
      extra = math.max(0, math.min(most, math.floor((least - cost) / 4)))
    end
    charge = cost + extra
  end
  if charge == many then
    break
  end
  many = charge
end

if size > 2 then
  local ends = states[1] and read('<d', states[1]) or 0
  if now + lasts > ends then -- twice as long as must be, so that it need not be said each time
    ends = math.ceil((now + lasts + math.max(lasts, 250000)) / 1000)
    writing[size + 1], writing[size + 2] = 'ends', pack('<d', ends * 1000)
    call(unpack(writing, 1, size + 2))
    call('PEXPIREAT', place, string.format('%.0f', ends + 1)) -- PEXPIRE counts from when the script was begun
  else
    call(unpack(writing, 1, size))
  end
end
if taking == 1 then
  for set = 2, sets do
    call('ZREMRANGEBYSCORE', KEYS[set], '-inf', string.format('%.0f', now))
    if many > 0 and leases[set] then
      call('ZADD', KEYS[set], string.format('%.0f', now + leases[set]), ARGV[#ARGV])
      call('PEXPIRE', KEYS[set], math.ceil(leases[set] / 1000) + 1)
    end
  end
end
return pack('<bi8i8', allowed, now, extra) .. told
