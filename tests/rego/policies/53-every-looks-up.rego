package countersign.authz

allow if {
	every name in input.scopes {
		data.limits[name] <= 2
	}
}

allow if {
	every i, name in input.roles {
		data.order[i] == name
		every other in data.order {
			other != input.tenant
		}
	}
	count(input.roles) > 0
}
