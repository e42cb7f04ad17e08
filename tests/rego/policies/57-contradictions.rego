package countersign.authz

blocked := true if input.tenant == "closed"

blocked := "yes" if input.method == "PUT"

allow if not blocked

level(method) := 1 if method == "GET"

level(method) := 2 if startswith(method, "G")

allow if {
	input.path == "/level"
	level(input.method) < 3
}

reason := "closed" if blocked == true
