-- Sends prepared bodies in turn: one body a line in the file that BENCH_BODIES names.
-- The requests are built once, so that the load costs little beside the server.

function rotate(path, headers)
  local requests, turn = {}, 0

  function init()
    for name, value in pairs(headers) do wrk.headers[name] = value end
    for body in io.lines(os.getenv("BENCH_BODIES")) do
      requests[#requests + 1] = wrk.format("POST", path, nil, body)
    end
  end

  function request()
    turn = turn % #requests + 1
    return requests[turn]
  end
end
