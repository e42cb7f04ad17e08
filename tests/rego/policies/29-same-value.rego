package countersign.authz

default allow := false

allow := true if input.method == "GET"

allow := true if startswith(input.path, "/a")

reason := "no"
