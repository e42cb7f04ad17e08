package countersign.authz

sorted := sort(input.scopes)

allow if sorted[0] < "b"

allow if {
	[1, "a", null] != [1, "a"]
	{"a": 1, "b": 2} == {"b": 2, "a": 1}
	input.scopes == sorted
	count(sorted) > 2
}

reason := replace(sorted[count(sorted) - 1], ":", ".")
