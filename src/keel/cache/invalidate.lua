#!lua flags=allow-oom
-- Invalidate one key: its value (a soft invalidation marks it and leaves it), and the right to store one being computed.
-- KEYS: value, lease, notice.  ARGV: soft (1 or 0), channel to publish the notice on ('' where clients are tracked).
if ARGV[1] == '1' then
  if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('SETRANGE', KEYS[1], 0, '\1')
  end
else
  redis.call('DEL', KEYS[1])
end
redis.call('DEL', KEYS[2])
-- Written and taken away at once: tracking tells of the write, and nothing is left to expire and to tell again.
redis.call('SET', KEYS[3], '1')
redis.call('DEL', KEYS[3])
if ARGV[2] ~= '' then
  redis.call('PUBLISH', ARGV[2], KEYS[3])
end
return 1
