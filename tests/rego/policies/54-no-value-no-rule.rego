package countersign.authz

allow if {
	tenant := data.tenants[input.tenant]
	input.method == "GET"
}

allow if {
	grants := [grant | some scope in input.scopes; grant := data.grants[scope]]
	count(grants) > 1
}

allow if {
	named := {scope: data.grants[scope] | some scope in input.scopes}
	count(named) == 1
	input.method == "PUT"
}

allow if {
	any_value(data.tenants[input.tenant].owner)
	input.method == "POST"
}

any_value(_) := true

reason := "seen" if count([data.grants[scope] | some scope in input.scopes]) > 0
