-- Orders for wrk: each request has a new Idempotency-Key and the next body of the file BODIES.
-- PAUSE, in milliseconds, is how long each connection waits before a request. Each one of ACCOUNTS requests
-- registers somebody instead (0: none does).
local accounts = tonumber(os.getenv("ACCOUNTS"))
local account = '{"email":"%s@example.com","password":"correct horse battery staple","name":"Ada Lovelace"}'
local prefix, pause, count, bodies = os.getenv("KEY_PREFIX"), tonumber(os.getenv("PAUSE")), 0, {}
for body in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = body end

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")

function request()
  count = count + 1
  wrk.headers["Idempotency-Key"] = prefix .. count
  if accounts > 0 and count % accounts == 0 then
    return wrk.format(nil, "/api/v1/users", nil, string.format(account, prefix .. count))
  end
  return wrk.format(nil, nil, nil, bodies[count % #bodies + 1])
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
