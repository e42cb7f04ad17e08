package countersign.authz

allow if {
	some n in numbers.range(1, 3)
	input.path == sprintf("/shard-%d/x", [n])
}

allow if sum([n | some n in numbers.range(1, count(input.scopes))]) == 6
