#!lua
-- Append to a stream, of which the newest stay.
-- KEYS: the stream. ARGV: how many stay, for how many seconds, then what is appended.
for i = 3, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 's', ARGV[i])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
