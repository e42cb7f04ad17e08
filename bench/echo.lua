-- JSON bodies of about 300 bytes to the baseline, which parses them and answers them back.
dofile("bench/rotate.lua")
rotate("/echo", { ["Content-Type"] = "application/json" })
