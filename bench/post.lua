-- For wrk: POSTs one JSON body again and again. The size is the first argument after `--`, 250 bytes without one.
--   wrk -t1 -c32 -d10s --latency -s bench/post.lua http://127.0.0.1:PORT/path -- 250
function init(arguments)
  local bytes = tonumber(arguments[1]) or 250
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local letters = {}
  math.randomseed(1)
  for i = 1, math.max(1, bytes - 8) do
    local at = math.random(#alphabet)
    letters[i] = alphabet:sub(at, at)
  end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = '{"d":"' .. table.concat(letters) .. '"}'
  -- Formatted once: the request never changes, so the generator spends nothing on it.
  request_text = wrk.format()
end

function request()
  return request_text
end
