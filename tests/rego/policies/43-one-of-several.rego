package countersign.authz

levels := ["none", "read", "write", "admin"]

rank := {"none": 0, "read": 1, "write": 2, "admin": 3}

level := max([rank[role] | some role in input.roles])

wanted := 1 if input.method == "GET"

else := 3 if input.method == "DELETE"

else := 2

allow if level >= wanted

reason := sprintf("needs-%s", [levels[wanted]])
