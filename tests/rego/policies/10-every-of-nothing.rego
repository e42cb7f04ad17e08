package countersign.authz

allow if {
	every role in input.roles {
		startswith(role, "read")
	}
}

reason := "writes" if {
	some role in input.roles
	not startswith(role, "read")
}
