package countersign.authz

held := {scope | some scope in input.scopes}

reading := {"agents:read", "tokens:read", "audit:read"}

writing := {"agents:write", "tokens:write"}

allow if {
	count(held & reading) >= 2
	held & writing == set()
}

allow if held - reading == writing

allow if (held | reading) == (reading | {"all:all"})

reason := sprintf("others-%d", [count(held - (reading | writing))])
