package countersign.authz

resource(path) := parts[2] if {
	parts := split(trim(path, "/"), "/")
	count(parts) > 2
}

action("GET") := "read"

action("HEAD") := "read"

action("DELETE") := "delete"

action(method) := "write" if method in ["POST", "PUT", "PATCH"]

allow if {
	wanted := sprintf("%s:%s", [resource(input.path), action(input.method)])
	wanted in input.scopes
}
