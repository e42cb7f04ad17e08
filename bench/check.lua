-- Asks a hundred questions in turn, as BENCH_BEARER; BENCH_PATH says where.
dofile("bench/rotate.lua")
rotate(os.getenv("BENCH_PATH"), {
  ["Content-Type"] = "application/json",
  ["Authorization"] = "Bearer " .. os.getenv("BENCH_BEARER"),
})
