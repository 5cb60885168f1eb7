-- Reads for wrk: each request asks for the next line of the file PATHS, or posts the text BODY.
-- PAUSE, in milliseconds, is how long each connection waits before a request.
local pause, count, paths = tonumber(os.getenv("PAUSE")), 0, {}
for path in io.lines(os.getenv("PATHS")) do paths[#paths + 1] = path end

wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
if os.getenv("BODY") then
  wrk.method, wrk.body = "POST", os.getenv("BODY")
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  count = count + 1
  return wrk.format(nil, paths[count % #paths + 1])
end

if pause > 0 then
  function delay() return math.random(0, 2 * pause) end
end

function done(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  print(string.format(
    '\nRESULT {"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50": %g, "p99": %g}',
    summary.requests, summary.duration, errors.status, broken,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
