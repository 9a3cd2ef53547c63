#!lua flags=allow-oom
-- Raise the version of a tag, a prefix or of everything: "hard:soft", both max(previous + 1, the server's time in us).
-- KEYS: version, notice.  ARGV: soft (1 or 0), ttl of the version in ms, channel to publish on ('' where clients are tracked).
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local hard, soft = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):(%d+)$')
hard, soft = tonumber(hard or 0), tonumber(soft or 0)
if ARGV[1] == '1' and hard > 0 then
  soft = math.max(soft + 1, now)
else
  hard = math.max(hard + 1, soft + 1, now)
  soft = hard
end
redis.call('SET', KEYS[1], string.format('%.0f:%.0f', hard, soft), 'PX', ARGV[2])
-- Written and taken away at once: tracking tells of the write, and nothing is left to expire and to tell again.
redis.call('SET', KEYS[2], '1')
redis.call('DEL', KEYS[2])
if ARGV[3] ~= '' then
  redis.call('PUBLISH', ARGV[3], KEYS[2])
end
return 1
