-- Answers with its key and its arguments.
local answer = {KEYS[1]}
for _, argument in ipairs(ARGV) do
  answer[#answer + 1] = argument
end
return answer
