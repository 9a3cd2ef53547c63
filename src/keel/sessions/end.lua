#!lua flags=allow-oom
-- End a token: nothing is left of it, or a stone that says so, and all processes hear of it.
-- KEYS: session, lease, notice.  ARGV: the state that it must be in ('' for any), the stone ('' for none; it stays as
-- long as the session would have), channel to publish on ('' where clients are tracked).
local state = redis.call('GET', KEYS[1])
if ARGV[1] ~= '' and state ~= ARGV[1] then
  return 0
end
local found = state and state ~= ARGV[2]
if found and ARGV[2] ~= '' then
  redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
elseif found then
  redis.call('DEL', KEYS[1])
end
redis.call('DEL', KEYS[2])
-- Written and taken away at once: tracking tells of the write, and nothing is left to expire and to tell again.
redis.call('SET', KEYS[3], '1')
redis.call('DEL', KEYS[3])
if ARGV[3] ~= '' then
  redis.call('PUBLISH', ARGV[3], KEYS[3])
end
return found and 1 or 0
