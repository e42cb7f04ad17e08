-- The same form to the baseline, which only signs; BENCH_ALG is es256, rs256 or eddsa.
dofile("bench/rotate.lua")
rotate("/sign/" .. os.getenv("BENCH_ALG"), {
  ["Content-Type"] = "application/x-www-form-urlencoded",
})
