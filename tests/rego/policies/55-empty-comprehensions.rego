package countersign.authz

writes := [1 | input.method == "PUT"]

allow if count([1 | input.method == "GET"]) > 0

allow if {
	some role in input.roles
	none := [1 | role == "admin"]
	none == []
	count({1 | role == "dev"}) == 1
}

allow if {
	nested := [inner | inner := [1 | input.method == "HEAD"]]
	nested == [[1]]
}

allow if not any_role

any_role if {
	some role in input.roles
	count([1 | role == "any"]) > 0
}

any_role if count(writes) == 0
