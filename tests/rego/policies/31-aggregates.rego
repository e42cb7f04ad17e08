package countersign.authz

costs := {"GET": 1, "POST": 5, "DELETE": 10}

weights := [count(scope) | some scope in input.scopes]

allow if {
	max(weights) < 12
	min(weights) > 3
	sum(weights) + costs[input.method] <= 30
}

reason := sprintf("p%d", [product(array.concat([1], weights))])
