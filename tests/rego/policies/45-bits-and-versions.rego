package countersign.authz

flags := {"read": 1, "write": 2, "delete": 4}

mask := sum([flags[split(scope, ":")[1]] | some scope in input.scopes])

version := split(input.agentId, "@")[1]

allow if {
	bits.and(mask, 4) == 4
	semver.compare(version, "1.2.0") >= 0
}

allow if {
	bits.or(mask, 1) == bits.xor(mask, 1)
	semver.is_valid(version)
	semver.compare(version, "2.0.0") == 1
}

reason := sprintf("mask%d", [mask])
