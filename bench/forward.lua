-- Asks whether requests may pass, a hundred paths in turn, as BENCH_BEARER; BENCH_PREFIX stands before them.
local bearer, prefix = os.getenv("BENCH_BEARER"), os.getenv("BENCH_PREFIX")
local requests, at = {}, 0

function init()
  for n = 1, 100 do
    requests[n] = wrk.format("GET", "/v1/forward-auth", {
      ["Authorization"] = "Bearer " .. bearer,
      ["X-Forwarded-Method"] = "GET",
      ["X-Forwarded-Uri"] = prefix .. n,
      ["X-Forwarded-Host"] = "service.example",
    })
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
