#!lua flags=allow-oom
-- Take the right to compute a value (a lease, Nishtala et al., NSDI 2013), unless another has it or there is another value
-- than the one that was seen.
-- KEYS: value, lease.  ARGV: token, lease in ms, id of the value that was seen ('' for none).
-- Returns 'leased', 'changed', or how long the other's lease lasts in ms.
local id = redis.call('GETRANGE', KEYS[1], 1, 8)
if id ~= '' and id ~= ARGV[3] then
  return 'changed'
end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 'leased'
end
return redis.call('PTTL', KEYS[2])
