-- Store a later state of a session, if the one it was made from is still there. One that has gone is never brought back.
-- KEYS: session.  ARGV: the state that it was made from, the later one, its ttl in ms.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
