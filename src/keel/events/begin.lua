#!lua flags=allow-oom
-- Begin a new epoch: messages were lost, or delivered where not all could hear them. Everybody is told.
-- KEYS: history, count.  ARGV: its id, how long the count is kept in ms, channel, PUBLISH (on a cluster SPUBLISH).
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[2], 'e', ARGV[1], 'o', 0)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call(ARGV[4], ARGV[3], ARGV[1] .. ' 0 ')
return 1
