package countersign.authz

required := ["agents:read", "tokens:read"]

allow if {
	every scope in required {
		scope in input.scopes
	}
}
