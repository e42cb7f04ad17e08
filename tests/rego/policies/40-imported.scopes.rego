package shared.scopes

reads(resource) if sprintf("%s:read", [resource]) in input.scopes

writes if {
	some scope in input.scopes
	endswith(scope, ":write")
}

number := count(input.scopes)
