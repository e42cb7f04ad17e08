-- Asks about a hundred live tokens in turn; BENCH_BEARER is the access token of who asks.
dofile("bench/rotate.lua")
rotate("/api/v1/token/introspect", {
  ["Content-Type"] = "application/x-www-form-urlencoded",
  ["Authorization"] = "Bearer " .. os.getenv("BENCH_BEARER"),
})
