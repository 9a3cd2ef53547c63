#!lua flags=allow-oom
-- Forget a value and take the right to store another, whoever has it: by fill.lua, so that a value which comes late, after
-- somebody has invalidated the key again, is not stored.
-- KEYS: value, lease, notice.  ARGV: token, lease in ms, channel to publish the notice on ('' where clients are tracked).
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[3], '1')
redis.call('DEL', KEYS[3])
if ARGV[3] ~= '' then
  redis.call('PUBLISH', ARGV[3], KEYS[3])
end
return 1
