package shared.paths

segments := split(trim(input.path, "/"), "/")

is_api if {
	segments[0] == "api"
	count(segments) >= 3
}

resource := segments[2]

under(prefix) if input.path == prefix

under(prefix) if startswith(input.path, concat("", [prefix, "/"]))
