package countersign.authz

parts := split(input.path, "/")

tail := array.slice(parts, 3, count(parts))

allow if tail == ["agents", "search"]

allow if array.concat(tail, ["end"]) == ["tokens", "end"]

allow if array.reverse(tail) == ["b", "a"]
