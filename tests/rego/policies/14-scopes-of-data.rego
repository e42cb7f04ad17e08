package countersign.authz

endpoint := concat(" ", [input.method, normal])

normal := regex.replace(input.path, "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", ":id")

default allow := false

allow if {
	needed := data.scopes[endpoint]
	every scope in needed {
		scope in input.scopes
	}
}

reason := "not_listed" if not data.scopes[endpoint]

else := "lacks_scope"
