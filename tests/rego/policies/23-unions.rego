package countersign.authz

grants := {"dev": {"a:read", "b:read"}, "ops": {"b:read", "c:write"}, "none": set()}

all := union({grants[role] | some role in input.roles})

common := intersection({grants[role] | some role in input.roles})

allow if {
	some scope in input.scopes
	scope in all
}

reason := sprintf("all%d-common%d", [count(all), count(common)])
