-- The generic cell rate algorithm: one key holds the theoretical arrival time
-- (TAT) of the next request, in microseconds of this server's clock. Limiter.take
-- in limiter.go is the same algorithm; change both.
--
-- KEYS[1]  what is limited
-- ARGV[1]  interval: microseconds that one request uses up
-- ARGV[2]  burst: requests that may come at once
--
-- Returns allowed (0 or 1), remaining requests, and microseconds until a
-- request is allowed again and until the burst is whole again.
local key = KEYS[1]
local interval = tonumber(ARGV[1])
local burst = tonumber(ARGV[2])

local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local tat = tonumber(redis.call("GET", key) or "") or now
if tat < now then
  tat = now
end

local after = tat + interval
local early = after - burst * interval - now
if early > 0 then
  return { 0, 0, early, tat - now }
end

-- Not tostring: it writes 14 digits, and this has 16.
redis.call("SET", key, string.format("%.0f", after), "PX", math.ceil((after - now) / 1000))
return { 1, math.floor(-early / interval), 0, after - now }
