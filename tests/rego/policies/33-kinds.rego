package countersign.authz

allow if {
	is_string(input.agentId)
	is_array(input.scopes)
	not is_object(input.roles)
	type_name(input.tenant) == "string"
}

allow if {
	is_null(input.agentId)
	input.roles != []
	type_name(input.agentId) == "null"
}
