package countersign.authz

suspended if "suspended" in input.roles

internal if {
	startswith(input.path, "/internal/")
	not "infra" in input.roles
}

allow if {
	not suspended
	not internal
	not input.method in ["CONNECT", "TRACE"]
}
