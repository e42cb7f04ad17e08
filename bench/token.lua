-- A token by client credentials, a hundred agents in turn.
dofile("bench/rotate.lua")
rotate("/api/v1/token", { ["Content-Type"] = "application/x-www-form-urlencoded" })
