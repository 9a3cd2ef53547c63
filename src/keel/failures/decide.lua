#!lua
-- Set the state of a group, where there is one.  KEYS: group.  ARGV: state, when in us.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'changed', ARGV[2])
return 1
